"""``lord suggest``: which images to label."""

from pathlib import Path
from typing import Annotated

from rich.table import Table

from lord.cli.console import say, show
from lord.cli.flags import Switch, checked
from lord.cli.learner import load_learner, name_bad
from lord.config.types import Count

EXAMPLES = """
lord suggest memory photos/new
lord suggest memory photos/new --count 20 --json
"""


def suggest(
    state: Path,
    folder: Path,
    /,
    *,
    count: Annotated[int, checked(Count)] = 50,
    json: Switch = False,
    plugin: Path | None = None,
) -> None:
    """Choose the images of a folder whose labels would teach a learner most.

    They are images that resemble no class, images between two classes, and images that differ from
    the others. The most useful comes first.

    Parameters
    ----------
    state
        Folder of the learner.
    folder
        Images, at any depth. They need no labels. Those that the learner was given before are left
        out.
    count
        Number of images to choose.
    json
        Print a JSON object a line.
    plugin
        Python file that registers methods or networks.
    """
    from lord.maintenance import suggest_images

    found = suggest_images(load_learner(state, plugin), folder, count)
    name_bad(found.unreadable)
    if json:
        from lord.storage import json_text

        for each in found.chosen:
            print(json_text(each))
        return
    table = Table("file", "why to label it")
    for each in found.chosen:
        table.add_row(each.file, each.text)
    show(table)
    left = f"; {found.learned} were left out that the learner was given before"
    say(f"{len(found.chosen)} of {found.images} images" + (left if found.learned else ""))
