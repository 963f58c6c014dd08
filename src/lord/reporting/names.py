"""Short, unique names for the variants shown together in a table, a picture or a page."""

import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from lord.config import UserError, parse_variant


class Shown(NamedTuple):
    """A variant to show in a table, a picture or a page."""

    method: str
    settings: Mapping[str, str]
    """Values as text, by setting."""
    name: str = ""
    """The name that the user gave it; empty without one."""

    @property
    def text(self) -> str:
        """The variant as users type it: ``lord+:pace=4:epochs=3``."""
        head = f"{self.name}={self.method}" if self.name else self.method
        return ":".join([head, *(f"{name}={value}" for name, value in self.settings.items())])

    @property
    def about(self) -> str:
        """All settings in words. If the variant has a name, the method comes first.

        >>> Shown("der++", {"lr": "0.03", "optimizer": "sgd"}).about
        'lr 0.03, optimizer sgd'
        """
        settings = [f"{name} {value}" for name, value in self.settings.items()]
        return ", ".join([self.method, *settings] if self.name else settings)


def read_text(text: str) -> Shown:
    """Read a variant from its text in a configuration file, or in a record of an old version.

    Text that is not a variant is taken as the name of a method.

    >>> read_text("lord+:pace=4:epochs=3")
    Shown(method='lord+', settings={'pace': '4', 'epochs': '3'}, name='')
    """
    try:
        variant = parse_variant(text)
    except UserError:
        return Shown(text, {})
    return Shown(variant.method, as_text(variant.settings), variant.name)


def as_text(settings: Mapping[str, object]) -> dict[str, str]:
    """Return settings with their values as text.

    >>> as_text({"rho": 0.5, "merged": True})
    {'rho': '0.5', 'merged': 'true'}
    """
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in settings.items()
    }


def short_names(variants: Sequence[Shown]) -> list[str]:
    """Name each variant by its method and the settings in which it differs from the others.

    If the user gave a variant a name, it replaces the method. Equal variants get equal names, and
    different variants different ones. The order of the variants does not matter.

    >>> short_names([read_text("er:lr=0.1"), read_text("der++:lr=0.1"), read_text("der++:lr=1")])
    ['er', 'der++ (lr 0.1)', 'der++ (lr 1)']
    """
    bases: dict[str, list[Mapping[str, str]]] = {}
    for variant in variants:
        bases.setdefault(variant.name or variant.method, []).append(variant.settings)
    telling = {base: telling_settings(settings) for base, settings in bases.items()}
    return [_name(variant, telling[variant.name or variant.method]) for variant in variants]


def telling_settings(variants: Sequence[Mapping[str, str]]) -> list[str]:
    """Return a few settings, in alphabetical order, that tell all different variants apart.

    They are chosen one by one: next is the setting that splits the variants into the most groups.

    >>> telling_settings([{"lr": "0.1", "tau": "1"}, {"lr": "0.2", "tau": "1"}, {}])
    ['lr']
    """
    names = sorted({name for settings in variants for name in settings})
    groups = _groups(variants, names)
    chosen: list[str] = []
    while _groups(variants, chosen) < groups:
        chosen.append(max(names, key=lambda name: _groups(variants, [*chosen, name])))
    return sorted(chosen)


def _groups(variants: Sequence[Mapping[str, str]], names: Sequence[str]) -> int:
    """Count the different combinations of values of some settings."""
    return len({tuple(settings.get(name) for name in names) for settings in variants})


def full_name(variant: Shown) -> str:
    """Return the method with all settings.

    >>> full_name(read_text("der++:lr=0.03"))
    'der++ (lr 0.03)'
    """
    return _name(variant._replace(name=""), sorted(variant.settings))


def _name(variant: Shown, telling: Sequence[str]) -> str:
    base, settings = variant.name or variant.method, variant.settings
    named = [f"{name} {settings[name]}" for name in telling if name in settings]
    return f"{base} ({', '.join(named)})" if named else base


def in_lines(name: str, width: int) -> list[str]:
    """Break a name into lines, at a space or after a comma, a colon or a slash.

    A part without these is broken only if it is longer than a line.

    >>> in_lines("mine:alpha=0.5:beta=1 (lr 0.1, momentum 0.9)", 14)
    ['mine:', 'alpha=0.5:', 'beta=1 (lr', '0.1, momentum', '0.9)']
    """
    lines = [""]
    for part in re.findall(r"[^ ,:/]+[,:/]* ?|[ ,:/]+", name):
        if lines[-1] and len((lines[-1] + part).rstrip()) > width:
            lines.append("")
        lines[-1] += part
    broken = (textwrap.wrap(line, width) for line in lines)
    return [line for group in broken for line in group] or [name]
