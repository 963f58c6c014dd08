"""How the user of a command calls a setting: by a flag, an argument, or --set."""

import sys
from collections.abc import Callable
from types import ModuleType

from cyclopts import App

import lord
from lord.cli.flags import TYPED
from lord.config import UserError

app = App(
    name="lord",
    help="Continual learning that counts its cost: accuracy per training FLOP.",
    help_format="markdown",
    version=lord.__version__,
    help_on_error=False,
    suppress_keyboard_interrupt=False,
)
MODULES: dict[str, ModuleType] = {}
"""The file of each command by its name. A name that Python reserves has an underscore there."""


def as_flags(text: str) -> str:
    """Return a sentence with its settings as the flags of the command that runs."""
    return UserError(text).worded(namer(TYPED[:1]))


def namer(command: list[str]) -> Callable[[str], str]:
    """Return how a command's user calls a setting or argument: --width, FOLDER or --set rho."""
    if not command or command[0] not in app:
        return "`{}`".format
    parameters = {}
    for each in app[command[0]].assemble_argument_collection():
        flag = each.names[0] if each.names else each.name
        parameters[flag.lstrip("-").lower().replace("-", "_")] = flag
    module = MODULES[command[0]]
    fields = {"method": "methods", **getattr(module, "FIELDS", {})}
    elsewhere: dict[str, str] = getattr(module, "ELSEWHERE", {})

    def shown(name: str) -> str:
        if name in parameters:
            return parameters[name]
        if fields.get(name) in parameters:
            return parameters[fields[name]]
        if name in elsewhere:
            return elsewhere[name]
        if "set" in parameters and _is_setting(name):
            return f"--set {name}"
        return f"`{name}`"

    return shown


def _is_setting(name: str) -> bool:
    """Whether ``--set`` was given this name, or a method or the optimizer has it."""
    if any(word.startswith(f"{name}=") for word in TYPED):
        return True
    if "lord.training" not in sys.modules:
        return False
    from lord.training.sections import known_settings

    return name in known_settings()
