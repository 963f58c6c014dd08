"""``lord drift``: whether new images differ from those that a learner knows."""

from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from lord.cli.console import say, show
from lord.cli.flags import Switch
from lord.cli.learner import load_learner, name_bad

if TYPE_CHECKING:
    from lord.evaluation.kept import Drift

EXAMPLES = """
lord drift memory photos/week9
lord drift memory photos/week9 --json
"""
LEVEL = 0.05
"""p-value below which images are said to differ."""
MIX = 20
"""Points by which the share of a class must change to be named."""


def drift(
    state: Path, folder: Path, /, *, json: Switch = False, plugin: Path | None = None
) -> None:
    """Tell whether new images differ from those that a learner knows.

    It compares their features with those of held-out images, among images that are predicted as the
    same class. It prints one figure, a p-value, and the images that differ most.

    Parameters
    ----------
    state
        Folder of the learner.
    folder
        Images, at any depth. They need no labels. At most 2000 are drawn from them.
    json
        Print everything as one JSON object.
    plugin
        Python file that registers methods or networks.
    """
    from lord.maintenance import measure_drift

    found = measure_drift(load_learner(state, plugin), folder)
    name_bad(found.unreadable)
    if json:
        from lord.storage import json_text

        print(json_text(found))
        return
    table = Table("most different images", "predicted as", "distance")
    for each in found.moved:
        table.add_row(each.file, each.predicted, f"{each.distance:+.2f}")
    show(table)
    for line in in_words(found):
        say(line)


def in_words(found: "Drift") -> list[str]:
    """Return what the figures of drift mean."""
    lines = [
        f"shift {found.shift:.3f}, p = {found.p:.3g}: {found.images} new images against "
        f"{found.held_out} held-out images"
    ]
    if found.p >= LEVEL:
        lines.append(
            "No drift was found: images of one kind differ as much by chance. Few images hide a "
            "small drift."
        )
    else:
        lines.append(
            "The images differ from those the learner knows. If nothing had changed, so large a "
            f"shift would occur in {100 * found.p:.2g} % of cases. The shift runs from 0, no "
            "difference, to about 1, nothing in common."
        )
        lines.append(
            "Accuracy may be lower on them. Label some ('lord suggest'), measure it ('lord "
            "evaluate'), and learn them if new images will look like this."
        )
    if found.alone:
        lines.append(
            f"{found.alone} images were left out, because too few held-out images are predicted as "
            "their class."
        )
    if found.learned:
        lines.append(f"{found.learned} images were left out that the learner was given before.")
    mix = [each for each in found.mix if abs(each.now - each.before) >= MIX]
    if mix:
        shares = ", ".join(f"{e.name} {e.before:.0f} % to {e.now:.0f} %" for e in mix)
        lines.append(f"The mix of predicted classes changed, which is no drift: {shares}.")
    return lines
