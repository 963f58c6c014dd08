"""The settings that are searched, and their values."""

import itertools
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeGuard

from lord.config import Config, UserError, Value, Variant, assigned, fields, typed
from lord.data import DataConfig
from lord.methods import METHODS
from lord.streams import StreamConfig
from lord.training.config import FREE, compose, flat
from lord.training.sections import SHARED

if TYPE_CHECKING:
    from optuna import Study
    from optuna import Trial as OptunaTrial
    from optuna.trial import FrozenTrial

FORM = "NAME=VALUES, such as lr=0.01..0.3:log, epochs=1..5 or replay=16,32"
FIXED = {*fields(DataConfig), *fields(StreamConfig), *FREE, "device", "evaluate_every"}
"""Settings that are not searched: they change the measurement, or do not affect it."""


Choice = str | int | float | bool | None
"""One of the values of a setting that is searched among several."""


class Dimension(Config, frozen=True):
    """A setting that is searched: between two values, or among several."""

    name: str
    """Name of the setting: ``lr``, or ``er.lr`` for one method only."""
    low: int | float | None = None
    high: int | float | None = None
    log: bool = False
    """Whether values are drawn on a logarithmic scale."""
    choices: tuple[Choice, ...] = ()

    @property
    def setting(self) -> str:
        """The name without the method's."""
        return self.name.rpartition(".")[2]

    @property
    def extremes(self) -> tuple[Choice, ...]:
        """Values to check: if these are allowed, all are."""
        return self.choices or (self.low, self.high)

    @property
    def text(self) -> str:
        """The dimension as it is typed; ``parse_space`` reads it."""
        if self.choices:
            return f"{self.name}={','.join(map(typed, self.choices))}"
        return f"{self.name}={self.low}..{self.high}{':log' * self.log}"

    def concerns(self, method: str) -> bool:
        """Whether the method has this setting."""
        owner = self.name.rpartition(".")[0]
        known = method in METHODS and self.setting in METHODS[method].settings
        return owner in ("", method) and (known or self.setting in SHARED)


def parse_space(texts: Sequence[str]) -> tuple[Dimension, ...]:
    """Read dimensions as they are typed.

    >>> [dimension.extremes for dimension in parse_space(["lr=0.01..0.3:log", "replay=16,32"])]
    [(0.01, 0.3), ('16', '32')]

    Raises:
        UserError: if one has another form or is given twice, or there is none.
    """
    dimensions = tuple(_parse(text) for text in texts)
    if not dimensions:
        raise UserError("is empty", field="space", allowed=FORM)
    names = [dimension.name for dimension in dimensions]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"{name} is given twice", field="space")
    return dimensions


def _parse(text: str) -> Dimension:
    try:
        name, values = assigned(text)
    except UserError:
        raise UserError(field="space", given=text, allowed=FORM) from None
    if name.rpartition(".")[2] in FIXED:
        raise UserError(
            f"{name} cannot be searched: it changes what is measured, or has no effect",
            field="space",
        )
    values = text.partition("=")[2]
    return _parse_range(name, values) if ".." in values else _parse_choices(name, values)


def _parse_choices(name: str, values: str) -> Dimension:
    choices = [choice.strip() for choice in values.split(",")]
    if len(set(choices)) < 2 or len(set(choices)) < len(choices) or not all(choices):
        allowed = "LOW..HIGH, or two or more different values"
        raise UserError(field="space", given=f"{name}={values}", allowed=allowed)
    words = {"true": True, "false": False}
    return Dimension(name=name, choices=tuple(words.get(choice, choice) for choice in choices))


def _parse_range(name: str, values: str) -> Dimension:
    def refuse(allowed: str) -> UserError:
        return UserError(field="space", given=f"{name}={values}", allowed=allowed)

    span, colon, scale = values.partition(":")
    if colon and scale != "log":
        raise refuse("LOW..HIGH or LOW..HIGH:log")
    try:
        low, high = (_number(end) for end in span.split(".."))
    except ValueError:
        raise refuse("LOW..HIGH, two numbers") from None
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise refuse("LOW..HIGH, two finite numbers, the lower one first")
    if scale and low <= 0:
        raise refuse("LOW above 0 on a logarithmic scale")
    return Dimension(name=name, low=low, high=high, log=bool(scale))


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        return float(text)


def space_of(
    variant: Variant,
    dimensions: Sequence[Dimension],
    given: Mapping[str, Value],
    preset: str | None,
    beside: Collection[str],
) -> dict[str, Dimension]:
    """Return the dimensions of one method by setting, after a check of their values.

    Args:
        variant: the method, with its settings.
        given: all other settings.
        beside: names of all methods of the search.

    Raises:
        UserError: for a value that is not allowed, or a setting that is both searched and given.
    """
    space: dict[str, Dimension] = {}
    for dimension in dimensions:
        name, setting = dimension.name, dimension.setting
        named = [name, setting]
        if dimension.concerns(variant.method):
            named.append(f"{variant.method}.{setting}")
        if both := [each for each in named if each in given or each in variant.settings]:
            raise UserError(f"{both[-1]} is both searched and set", field="space")
        values: list[Choice] = []
        for value in dimension.extremes:
            try:
                config = compose(variant, {**given, name: value}, preset=preset, beside=beside)
            except UserError as error:
                raise UserError(f"in {name}={value}: {error}", field="space") from None
            values.append(flat(config).get(setting))
        if not dimension.concerns(variant.method):
            continue
        if setting in space:
            raise UserError(f"{setting} is given twice for {variant.method}", field="space")
        space[setting] = _typed(dimension, values)
    if not space:
        raise UserError(f"holds no setting of {variant.label}", field="space")
    return space


def _typed(dimension: Dimension, values: Sequence[Choice]) -> Dimension:
    """Give a dimension the values that the configuration made of its extremes."""
    if dimension.choices:
        return Dimension(name=dimension.setting, choices=tuple(values))
    low, high = values
    if _is_number(low) and _is_number(high):
        return Dimension(name=dimension.setting, low=low, high=high, log=dimension.log)
    raise UserError(
        f"{dimension.name} has no range", field="space", hint="list the values, such as a,b"
    )


def _is_number(value: Choice) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def combinations(space: Mapping[str, Dimension]) -> Iterator[dict[str, Value]] | None:
    """Yield all combinations of settings; None if a setting may be any number in a range."""
    values: list[Sequence[Value]] = []
    for dimension in space.values():
        if dimension.choices:
            values.append(dimension.choices)
        elif isinstance(dimension.low, int) and isinstance(dimension.high, int):
            values.append(range(dimension.low, dimension.high + 1))
        else:
            return None
    return (dict(zip(space, each, strict=True)) for each in itertools.product(*values))


def trials_of(study: "Study") -> "list[FrozenTrial]":
    """Return the trials that were run. Optuna's failed ones are suggestions that came twice."""
    return [trial for trial in study.trials if trial.state.name != "FAIL"]


def suggest(trial: "OptunaTrial", space: Mapping[str, Dimension]) -> dict[str, Value]:
    """Let Optuna suggest values for one trial."""
    values: dict[str, Value] = {}
    for name, dimension in space.items():
        low, high, log = dimension.low, dimension.high, dimension.log
        if low is None or high is None:
            values[name] = trial.suggest_categorical(name, list(dimension.choices))
        elif isinstance(low, int):
            values[name] = trial.suggest_int(name, low, int(high), log=log)
        else:
            values[name] = trial.suggest_float(name, low, high, log=log)
    return values
