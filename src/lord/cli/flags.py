"""Flags that several commands share. Nothing here imports PyTorch, so that help is quick."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, make_dataclass
from importlib.resources import files
from pathlib import Path
from types import UnionType
from typing import Annotated, Literal, TypeVar, Union, get_args, get_origin

from cyclopts import Group, Parameter, Token

from lord.config import (
    UserError,
    Value,
    Variant,
    as_variant,
    assigned,
    convert,
    describe,
    load_plugin,
    main_name,
    read_yaml,
)
from lord.config.field import Field, read_fields
from lord.config.types import Groups, Natural

TYPED: list[str] = []
"""The words of the command that runs. Studies and searches record them."""
NONE: set[str] = set()
"""Settings that the command gives as 'none'. A flag that is not given is None too."""

NOTE = "A preset, a method's published settings and --config replace these defaults."
STREAM = Group("Stream", help=NOTE, sort_key=1)
TRAINING = Group("Training", help=NOTE, sort_key=2)
METHOD = Group("Method", help=NOTE, sort_key=3)
RUNS = Group("Runs", sort_key=4)
SETTINGS = (
    (STREAM, "data/load.py", "DataConfig"),
    (STREAM, "streams/stream.py", "StreamConfig"),
    (TRAINING, "networks/build.py", "NetworkConfig"),
    (TRAINING, "backbone/config.py", "BackboneConfig"),
    (TRAINING, "training/sections.py", "TrainingConfig"),
    (TRAINING, "methods/optim.py", "OptimizerConfig"),
    (METHOD, "methods/method.py", "BufferConfig"),
    (METHOD, "methods/method.py", "MethodConfig"),
)
"""Configurations with a flag for each field. Their source is read, because importing takes long."""

Switch = Annotated[bool, Parameter(negative="", show_default=False)]


def checked(kind: object) -> Parameter:
    """Make a flag's text be converted and checked as that of a setting of a type."""

    def converter(_: object, tokens: Sequence[Token]) -> object:
        name = (tokens[0].keyword or "").lstrip("-").replace("-", "_")
        value = convert(name, tokens[0].value, kind)
        if value is None:
            NONE.add(name)
        return value

    return Parameter(converter=converter)


def settings() -> list[tuple[Group, Field]]:
    """Every setting that has a flag, in the order of help."""
    root = files("lord")
    return [
        (group, each)
        for group, file, config in SETTINGS
        for each in read_fields(root.joinpath(file).read_text(), config)
    ]


T = TypeVar("T")


def with_settings(cls: type[T]) -> type[T]:
    """Add a flag for each setting to a dataclass of flags."""
    flags = [(each.name, _flag(group, each), field(default=None)) for group, each in settings()]
    made = make_dataclass(cls.__name__, flags, bases=(cls,), kw_only=True)
    made.__module__ = cls.__module__
    return made


def _flag(group: Group, each: Field) -> object:
    """The type of a flag, with its help. Only given flags have a value."""
    union = get_origin(each.kind) in (Union, UnionType)
    kind = get_args(each.kind)[0] if union else each.kind
    annotated = get_origin(kind) is Annotated
    shown = str if kind == Groups else get_args(kind)[0] if annotated else kind
    about = each.about
    if shown in (int, float):
        about = f"{about} [{describe(kind)}]"
    help_and_default = Parameter(group=group, help=about, show_default=lambda _: each.default)
    if shown is bool or kind == Groups:
        return Annotated[shown | None, help_and_default]  # type: ignore[operator]
    return Annotated[shown | None, help_and_default, checked(each.kind)]  # type: ignore[operator]


@dataclass(frozen=True)
class Arguments:
    """What the configuration file and the flags give together.

    Attributes:
        given: settings by name.
        preset: the stream; None if neither names one.
        variant: the file's method; None if it names none.
        seed: the file's seed; None if it names none.
        plugin: the plug-in, which is loaded.
    """

    given: dict[str, Value]
    preset: str | None = None
    variant: Variant | None = None
    seed: int | None = None
    plugin: Path | None = None

    @property
    def recorded(self) -> dict[str, Value]:
        """What a study records: settings, preset and plug-in."""
        plugin = str(self.plugin) if self.plugin else None
        named = {"preset": self.preset, "plugin": plugin}
        return {**self.given, **{name: value for name, value in named.items() if value}}


@Parameter(name="*")
@with_settings
@dataclass(kw_only=True)
class Flags:
    """Settings of a run. Those not given come from the configuration file, else from presets."""

    preset: Annotated[
        str | None,
        Parameter(
            group=STREAM,
            help="Stream: digits, s-cifar10, ..., or images for any others. 'lord methods' lists "
            "them.",
        ),
    ] = None
    set: Annotated[
        list[str] | None,
        Parameter(
            group=METHOD,
            negative=(),
            help="A setting of a method, such as rho=0.25, or lord.rho=0.25 for one method only. "
            "'lord methods NAME' lists them.",
        ),
    ] = None
    config: Annotated[
        Path | None, Parameter(help="YAML file of settings. Flags replace what it says.")
    ] = None
    plugin: Annotated[
        Path | None, Parameter(help="Python file that registers methods, networks or streams.")
    ] = None

    def read(self) -> Arguments:
        """Load the plug-in, read the configuration file, and put flags in place of its settings.

        Raises:
            UserError: if a file cannot be read, or settings contradict each other.
        """
        if self.plugin:
            load_plugin(self.plugin)
        values = read_yaml(self.config) if self.config else {}
        self._check_plugin(values.pop("plugin", None))
        apart = ("preset", "set", "config", "plugin")
        flags = {n: value for n, value in vars(self).items() if n not in apart}
        if flags["split"] is not None:  # as a flag it is text: pydantic, if imported, checks types
            flags["split"] = convert("split", flags["split"], Groups)
        given = {n: v for n, v in flags.items() if v is not None or n in NONE}
        typed = with_assignments(given, self.set)
        _check_split(typed)
        if values.get("split") and "split" not in typed:
            _check_split({**typed, "split": values["split"]})
        method, preset, seed = (values.pop(name, None) for name in ("method", "preset", "seed"))
        # A setting that is typed for all methods replaces what the file says of one of them.
        values = {n: v for n, v in values.items() if n.rpartition(".")[2] not in typed}
        variant = None if method is None else as_variant("method", method)
        if variant:
            own = f"{variant.method}."
            variant = variant.without([name.removeprefix(own) for name in typed])
        return Arguments(
            given={**values, **typed},
            preset=self.preset or (None if preset is None else str(preset)),
            variant=variant,
            seed=None if seed is None else convert("seed", seed, Natural),
            plugin=self.plugin,
        )

    def _check_plugin(self, recorded: Value) -> None:
        """Check that a plug-in is given where the configuration file records one.

        A copy of it is in the run's folder. It is never loaded unless it is named.

        Args:
            recorded: the file's entry: SHA-256 of each source file, or a path.

        Raises:
            UserError: names the plug-in.
        """
        if not recorded or self.plugin:
            return
        name = main_name(recorded) if isinstance(recorded, dict) else str(recorded)
        copy = self.config.parent / "plugin" / name if self.config else Path(name)
        raise UserError(
            f"'{self.config}' needs the plug-in '{name}'",
            field="plugin",
            hint=f"set `plugin` to it, such as '{copy if copy.exists() else name}'",
        )


@Parameter(name="*")
@dataclass(kw_only=True)
class Execution:
    """How the runs of a study are executed."""

    jobs: Annotated[
        int, checked(Natural), Parameter(group=RUNS, help="Runs at a time; 0 for one a core.")
    ] = 0
    engine: Annotated[
        Literal["local", "ray"],
        Parameter(
            group=RUNS, help="local: processes on this machine. ray: tasks of a Ray cluster."
        ),
    ] = "local"
    address: Annotated[
        str | None,
        Parameter(
            group=RUNS,
            help="HOST:PORT of the cluster, or auto. Without it, a cluster is started on this "
            "machine.",
        ),
    ] = None


NO_SETTINGS = {"preset", "method", "methods", "seed", "seeds", "out", "plugin", "config", "set"}
"""Flags of runs and studies that ``--set`` does not replace."""


def with_assignments(
    given: Mapping[str, Value],
    texts: Sequence[str] | None,
    apart: Collection[str] = NO_SETTINGS,
) -> dict[str, Value]:
    """Return settings given by flags together with those given by ``--set``.

    Args:
        apart: flags that are not settings.

    Raises:
        UserError: for a setting given twice, or a flag that is not a setting.
    """
    values = dict(given)
    for text in texts or ():
        name, value = assigned(text)
        if name in apart:
            raise UserError(
                f"{value!r} cannot be given with `set`", field=name, hint=f"use `{name}` instead"
            )
        if name in values:
            raise UserError(f"is given twice, as {values[name]} and as {value}", field=name)
        values[name] = value
    return values


def _check_split(given: Mapping[str, Value]) -> None:
    """Refuse a number of tasks where their classes are spelled out."""
    if "split" in given and "tasks" in given:
        split = given["split"]
        if isinstance(split, tuple):
            split = "/".join(",".join(map(str, task)) for task in split)
        raise UserError(
            "already says the tasks", field="split", given=split, hint="leave `tasks` out"
        )


def check_not_empty(words: Sequence[str]) -> None:
    """Refuse empty values, such as those of an unset shell variable.

    Raises:
        UserError: names the flag.
    """
    for number, (before, word) in enumerate(zip(["lord", *words], words, strict=False), 1):
        if not word and not before.startswith("-"):
            raise UserError(f"argument {number} is empty", allowed="a value")
        if not word or (word.startswith("--") and word.endswith("=")):
            name = (word[:-1] or before).lstrip("-").replace("-", "_")
            raise UserError("got nothing", field=name, allowed="a value")
