"""``lord evaluate``: how well a learner recognises labelled images."""

from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from lord.cli.console import say, show
from lord.cli.flags import Switch
from lord.cli.learner import load_learner, name_bad

if TYPE_CHECKING:
    from lord.evaluation.kept import Evaluation

EXAMPLES = """
lord evaluate memory photos/test
lord evaluate memory photos/test --json
lord evaluate memory photos/test --html evaluation.html
"""
PAIRS = 10
"""Confusions that are printed, at most."""


def evaluate(
    state: Path,
    folder: Path,
    /,
    *,
    json: Switch = False,
    html: Path | None = None,
    plugin: Path | None = None,
) -> None:
    """Measure how well a learner recognises labelled images.

    It prints accuracy, precision and recall of each class, confusions, and the mistakes of which
    the learner is most certain. Classes that it does not know are counted apart. Files that cannot
    be used are named and left out. The exit code is 0 all the same.

    Parameters
    ----------
    state
        Folder of the learner.
    folder
        Images by class: FOLDER/CLASS/*.jpg, or any other layout that 'lord data' knows. If they
        have a test split, it is used.
    json
        Print everything as one JSON object.
    html
        File for a page with pictures, instead of tables. It works offline. A page that was there
        is replaced.
    plugin
        Python file that registers methods or networks.
    """
    from lord.maintenance import evaluate_images

    learner = load_learner(state, plugin)
    found = evaluate_images(learner, folder, pictures=html is not None)
    name_bad(found.unreadable)
    if json:
        from lord.storage import json_text

        print(json_text(found))
    elif html is None:
        _print(found)
    if html is not None:
        from lord.reporting.html.learner import LearnerPage, write_learner_page

        title = f"{state.resolve().name} on {folder.resolve().name}"
        write_learner_page(LearnerPage(title=title, evaluation=found), html)
        if not json:
            for line in [*summary(found), f"The page is {html}."]:
                say(line)


def _print(found: "Evaluation") -> None:
    table = Table("class", "images", "recall, %", "precision, %")
    for each in found.classes:
        shares = ("-" if s is None else f"{s:.1f}" for s in (each.recall, each.precision))
        table.add_row(each.name, str(each.images), *shares)
    show(table)
    if found.confusions:
        table = Table("class", "predicted as", "images")
        for pair in found.confusions[:PAIRS]:
            table.add_row(pair.label, pair.predicted, str(pair.images))
        show(table)
    if found.worst:
        table = Table("most certain mistakes", "class", "predicted as", "probability, %")
        for mistake in found.worst:
            share = f"{100 * mistake.confidence:.0f}"
            table.add_row(mistake.file, mistake.label, mistake.predicted, share)
        show(table)
    for line in summary(found):
        say(line)


def summary(found: "Evaluation") -> list[str]:
    """Return what an evaluation says in sentences: accuracy, and what was counted apart."""
    lines = []
    if found.accuracy is None:
        lines.append("No image is of a class that the learner knows, so there is no accuracy.")
    else:
        lines.append(f"accuracy {found.accuracy:.1f} % on {found.images} images")
    if found.learned:
        new = found.images - found.learned
        rest = f"accuracy on the other {new} is {found.accuracy_new:.1f} %" if new else ""
        lines.append(
            f"The learner was given {found.learned} of them before"
            + (f"; {rest}." if rest else ", so this is not its accuracy on new images.")
        )
    if found.strangers:
        names = ", ".join(
            f"{each.name} ({each.images}, mostly predicted as {each.predicted})"
            for each in found.strangers
        )
        lines.append(f"The learner does not know these classes, which are not counted: {names}.")
    return lines
