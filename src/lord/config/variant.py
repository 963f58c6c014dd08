"""A method with some of its settings: what a comparison has one row for."""

import re
from collections.abc import Collection

import msgspec

from lord.config.errors import UserError
from lord.config.parse import Config, Value, plain_number, setting_name

PLAIN = re.compile(r"[^\s:,=./-][^\s:,=./]*")
"""A word that can stand between the separators of a variant's text, and name a folder."""


class Variant(Config, frozen=True, kw_only=False):
    """A method, and the settings that make it a variant.

    >>> Variant("lord", {"rho": 0.25}).label, Variant("lord", {"rho": 0.25}, "sparse").label
    ('lord:rho=0.25', 'sparse')
    """

    method: str
    """Name of the method."""
    settings: dict[str, Value] = {}
    """Values by the names of the settings. They replace those given for all methods."""
    name: str = ""
    """Stands in tables and in names of folders, in place of the settings."""

    def __post_init__(self) -> None:
        if self.name and not PLAIN.fullmatch(self.name):
            raise UserError(
                field="name", given=self.name, allowed="a name without spaces and : , = . /"
            )
        # Settings are written to files, which have no numbers of NumPy's types.
        plain = {name: plain_number(value) for name, value in self.settings.items()}
        msgspec.structs.force_setattr(self, "settings", plain)

    @property
    def text(self) -> str:
        """The variant as it is typed; ``parse_variant`` reads it."""
        name = f"{self.name}=" if self.name else ""
        settings = (f":{name}={typed(value)}" for name, value in self.settings.items())
        return f"{name}{self.method}{''.join(settings)}"

    @property
    def label(self) -> str:
        """The name, or else the text."""
        return self.name or self.text

    def without(self, names: Collection[str]) -> "Variant":
        """Return the same variant without some settings."""
        left = {name: value for name, value in self.settings.items() if name not in names}
        return Variant(self.method, left, self.name)


def run_folder(label: str, seed: int) -> str:
    """Return the name of a run's folder among those of a comparison.

    >>> run_folder("lord:rho=0.25", 0)
    'lord,rho=0.25-seed0'
    """
    return f"{label.replace(':', ',').replace('/', '_')}-seed{seed}"


def parse_variant(text: str) -> Variant:
    """Read a variant: ``METHOD:SETTING=VALUE:...``, or ``NAME=METHOD:SETTING=VALUE:...``.

    Settings come after a colon, so an equals sign before the first colon ends a name.

    >>> parse_variant("lord:rho=0.25:merged=true").settings
    {'rho': '0.25', 'merged': True}
    >>> parse_variant("tuned=der++:lr=0.03:momentum=0.9").label
    'tuned'

    Raises:
        UserError: if it has another form.
    """
    head, *assignments = re.split(r":(?=[^:=]+=)", text)  # a value may have a colon: timm:NAME
    first, equals, rest = head.partition("=")
    name, method = (first, rest) if equals else ("", first)
    if equals and not name:
        raise UserError(field="method", given=text, allowed="METHOD or NAME=METHOD")
    method, colon, setting = method.partition(":")
    if colon:
        assigned(setting, field="method")
    settings: dict[str, Value] = {}
    for assignment in assignments:
        key, value = assigned(assignment, field="method")
        if key in settings:
            raise UserError(f"is given twice in '{text}'", field=key)
        settings[key] = value
    return Variant(method, settings, name)


def as_variant(field: str, given: object) -> Variant:
    """Return a variant given as such or as text.

    Raises:
        UserError: if it is neither.
    """
    if isinstance(given, Variant):
        return given
    if isinstance(given, str):
        return parse_variant(given)
    raise UserError(field=field, given=given, allowed="the name of a method, or a Variant")


def assigned(text: str, field: str = "set") -> tuple[str, Value]:
    """Read ``NAME=VALUE``, where the name may be that of one method: ``METHOD.NAME``.

    >>> assigned("weight-decay=1e-4"), assigned("er-las.tau=0.5")
    (('weight_decay', '1e-4'), ('er-las.tau', '0.5'))

    Raises:
        UserError: if it has another form.
    """
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise UserError(field=field, given=text, allowed="NAME=VALUE, such as rho=0.25")
    return setting_name(name.strip()), {"true": True, "false": False}.get(value, value)


def typed(value: Value) -> str:
    """Return a value as it is typed on a command line.

    >>> typed(True), typed(None), typed([[0, 1], [2]])
    ('true', 'none', '0,1/2')
    """
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, list | tuple):  # classes of each task
        tasks = [task if isinstance(task, list | tuple) else [task] for task in value]
        texts = [",".join(map(str, task)) for task in tasks]
        return (";" if any("/" in text for text in texts) else "/").join(texts)
    return str(value)
