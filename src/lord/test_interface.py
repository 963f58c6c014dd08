"""What others build on does not change by accident: Python names, commands and flags.

A change that is meant: ``make interface``, and a line in CHANGELOG.md.
"""

import difflib
import inspect
import re
from pathlib import Path

import lord
from lord.cli.main import app

FILE = Path(__file__).parent / "interface.txt"


def python():
    """A line for each public name, and for each public member of the classes among them."""
    for name in sorted(lord.__all__):
        value = getattr(lord, name)
        error = inspect.isclass(value) and issubclass(value, Exception)
        yield f"lord.{name}{inspect.signature(value) if callable(value) and not error else ''}"
        bases = value.__mro__ if inspect.isclass(value) else ()
        ours = [base for base in bases if base.__module__.startswith("lord.")]
        for member in sorted({name for base in ours for name in vars(base)}):
            own = inspect.getattr_static(value, member)
            if member.startswith("_"):
                continue
            if isinstance(own, (classmethod, staticmethod)):
                own = own.__func__
            shape = str(inspect.signature(own)) if inspect.isfunction(own) else ""
            yield f"lord.{name}.{member}{shape}"


def commands():
    """A line for each command and each of its flags, with its choices and its default."""
    for command in sorted(name for name in app if not name.startswith("-")):
        yield f"lord {command}"
        for each in sorted(app[command].assemble_argument_collection(), key=lambda a: a.name):
            if each.parse is False or each.children:
                continue
            choices = each.get_choices()
            allowed = f" {{{','.join(choices)}}}" if choices else ""
            default = each.field_info.default
            plain = default is inspect.Parameter.empty or default is None
            yield f"lord {command} {' '.join(each.names)}{allowed}" + (
                "" if plain else f" = {default}"
            )


def interface():
    # Python 3.13 says where paths are defined, and a function that is a default where it lies.
    text = "\n".join([*python(), *commands()]).replace("pathlib._local.", "pathlib.")
    return re.sub(r" at 0x[0-9a-f]+", "", text) + "\n"


def test_the_public_interface_is_as_written_down():
    written, now = FILE.read_text().splitlines(), interface().splitlines()
    changes = "\n".join(difflib.unified_diff(written, now, "written", "now", lineterm="", n=0))
    assert not changes, f"meant? then 'make interface'\n{changes}"


if __name__ == "__main__":
    FILE.write_text(interface())
