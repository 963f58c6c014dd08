"""Python names, commands and flags that others build on do not change by accident.

After an intended change: ``make interface``, and a line in CHANGELOG.md.
"""

import difflib
import inspect
import re
from importlib import import_module
from pathlib import Path

import lord
from lord.cli.main import app

FILE = Path(__file__).parent / "interface.txt"
DOCS = Path(__file__).parents[2] / "docs"


def taught():
    """Yield (module, name) for each name that the page of public names lists."""
    page = DOCS / "reference" / "public-names.md"
    rows = re.findall(r"^\| `(lord[\w.]*)` \| (.*) \|$", page.read_text(), re.MULTILINE)
    for module, names in rows:
        for name in re.findall(r"`(\w+)`", names):
            yield module, name


def python():
    """Yield a line for each public name, and for each public member of a class."""
    names = {("lord", name) for name in lord.__all__} | set(taught())
    for module, name in sorted(names):
        value = getattr(import_module(module), name)
        yield f"{module}.{name}{signature(value)}"
        bases = value.__mro__ if inspect.isclass(value) else ()
        ours = [base for base in bases if base.__module__.startswith("lord.")]
        for member in sorted({member for base in ours for member in vars(base)}):
            if not member.startswith("_"):
                yield f"{module}.{name}.{member}{signature(static(value, member))}"


def static(value, member):
    """Return a member of a class without calling it."""
    found = inspect.getattr_static(value, member)
    return found.__func__ if isinstance(found, (classmethod, staticmethod)) else found


def signature(value):
    """Return the parameters of a function or a class as text; empty for anything else."""
    plain = inspect.isfunction(value) or (
        inspect.isclass(value) and not issubclass(value, Exception)
    )
    return str(inspect.signature(value)) if plain else ""


def commands():
    """Yield a line for each command and flag, with choices and default."""
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
    # Python 3.13 names the module of paths, and a default function has an address.
    text = "\n".join([*python(), *commands()]).replace("pathlib._local.", "pathlib.")
    return re.sub(r" at 0x[0-9a-f]+", "", text) + "\n"


def test_the_pages_on_adding_parts_use_public_names_only():
    public = {(module, name) for module, name in taught()} | {("lord", n) for n in lord.__all__}
    used = set()
    text = "".join(page.read_text() for page in (DOCS / "how-to").glob("add-*.md"))
    for module, names in re.findall(r"^from (lord[\w.]*) import (.*)$", text, re.M):
        used |= {(module, name.strip()) for name in names.split(",")}
    assert used
    assert used <= public


def test_the_public_interface_equals_its_list():
    written, now = FILE.read_text().splitlines(), interface().splitlines()
    changes = "\n".join(difflib.unified_diff(written, now, "written", "now", lineterm="", n=0))
    assert not changes, f"meant? then 'make interface'\n{changes}"


if __name__ == "__main__":
    FILE.write_text(interface())
