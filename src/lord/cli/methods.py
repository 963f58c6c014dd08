"""``lord methods``: the methods and their settings."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, get_type_hints

from rich.padding import Padding
from rich.table import Table

from lord.cli.console import console, say, show
from lord.config import Value, choose, describe, load_plugin, typed
from lord.config.field import docstrings

if TYPE_CHECKING:
    from lord.methods.registry import Recipe

EXAMPLES = """
lord methods
lord methods lord+
lord methods hard-er --plugin examples/hard_er.py
"""


def methods(name: str | None = None, /, *, plugin: Path | None = None) -> None:
    """List the methods and presets, or the settings of one method.

    Parameters
    ----------
    name
        A method.
    plugin
        Python file that registers methods, networks or streams.
    """
    from lord.methods import METHODS

    if plugin:
        load_plugin(plugin)
    if name is None:
        _print_all(METHODS)
    else:
        _print_one(name, METHODS[choose("name", name, METHODS)])


def _print_all(recipes: "Mapping[str, Recipe]") -> None:
    from lord.streams import PRESETS

    table = Table("method", "what it is")
    for name, recipe in recipes.items():
        table.add_row(name, _paragraphs(recipe.about)[0])
    show(table)
    presets = Table("preset", "stream")
    for name, protocol in PRESETS.items():
        presets.add_row(name, protocol.about)
    show(presets)


def _print_one(name: str, recipe: "Recipe") -> None:
    """Print what a method is, its settings, and the values published for it."""
    about = "\n\n".join(text for text in _paragraphs(recipe.about) if not text.startswith(">>>"))
    console.print(f"{name}: {about}\n", highlight=False)
    config, documented = recipe.config({}), docstrings(recipe.method.Config)
    for setting, kind in get_type_hints(recipe.method.Config, include_extras=True).items():
        console.print(f"{setting} = {typed(getattr(config, setting))}", highlight=False)
        about = f"{documented.get(setting, '')} ({describe(kind)})"
        console.print(Padding(about, (0, 0, 0, 4)), highlight=False)
    others = {n: v for n, v in recipe.preset.items() if n not in recipe.settings}
    if others:
        say(f"\nOther defaults of {name}: {_listed(others)}")
    if recipe.published:
        table = Table("stream", "buffer", "published values")
        for stream, rows in recipe.published.items():
            for buffer, values in rows.items():
                table.add_row(stream, str(buffer or "-"), _listed(values))
        show(table)


def _paragraphs(text: str) -> list[str]:
    """The paragraphs of a docstring, each in one line."""
    return [" ".join(each.replace("``", "").split()) for each in text.strip().split("\n\n")]


def _listed(values: Mapping[str, Value]) -> str:
    return ", ".join(f"{name} {typed(value)}" for name, value in values.items())
