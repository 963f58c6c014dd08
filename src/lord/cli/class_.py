"""``lord class``: rename, merge or remove classes of a learner."""

from pathlib import Path
from typing import Literal

from lord.cli.console import say
from lord.cli.learner import warnings_printed
from lord.config import UserError, load_plugin

EXAMPLES = """
lord class rename memory dgo dog
lord class merge memory puppy dog
lord class remove memory teapot
"""
FIELDS = {"into": "new"}
"""Names of arguments in Python, and the parameters that stand for them here."""


def class_(
    action: Literal["rename", "merge", "remove"],
    state: Path,
    name: str,
    new: str | None = None,
    /,
    *,
    plugin: Path | None = None,
) -> None:
    """Rename a class of a learner, merge it into another one, or remove it.

    Sessions that can be undone change alike. There is no way back, so copy the folder first.

    Parameters
    ----------
    action
        rename: give the class another name. merge: make it part of another class. remove: never
        predict it again, and drop its images.
    state
        Folder of the learner.
    name
        The class.
    new
        Its new name, or the class that it becomes part of.
    plugin
        Python file that registers methods or networks.
    """
    from lord.maintenance import merge_classes, remove_class, rename_class

    if (new is None) != (action == "remove"):
        needed = "no second name" if new else "a second name"
        raise UserError(f"'{action}' needs {needed}", field="new")
    if plugin:
        load_plugin(plugin)
    with warnings_printed():
        if new is None:
            learner, done = remove_class(state, name), f"'{name}' is removed"
        elif action == "merge":
            learner, done = merge_classes(state, name, new), f"'{name}' is part of '{new}'"
        else:
            learner, done = rename_class(state, name, new), f"'{name}' is now '{new}'"
    say(f"{done}; {len(learner.classes)} classes")
