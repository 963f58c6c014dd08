"""The settings that are searched, and between what values."""

import itertools
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from lord.config import Config, UserError, assigned, fields
from lord.data import DataConfig
from lord.methods import METHODS
from lord.streams import StreamConfig
from lord.training.config import FREE, compose, flat
from lord.training.sections import SHARED

EXAMPLE = "such as lr=0.01..0.3:log, epochs=1..5 or replay=16,32"
FEW = 1000
"""Combinations of settings, up to which none is tried twice."""
FIXED = {*fields(DataConfig), *fields(StreamConfig), *FREE, "device", "evaluate_every"}
"""Settings that decide what is measured, or nothing of it."""


class Dimension(Config, frozen=True):
    """A setting between two values, or one of several."""

    name: str
    """As in a configuration: ``lr``, or ``er.lr`` for one method only."""
    low: int | float | None = None
    high: int | float | None = None
    log: bool = False
    """Whether orders of magnitude count alike."""
    choices: tuple[Any, ...] = ()

    @property
    def setting(self) -> str:
        return self.name.rpartition(".")[2]

    @property
    def extremes(self) -> tuple[Any, ...]:
        """Values that must be allowed for all to be."""
        return self.choices or (self.low, self.high)

    def concerns(self, method: str) -> bool:
        """Whether that method has this setting."""
        owner = self.name.rpartition(".")[0]
        own = method in METHODS and self.setting in METHODS[method].settings
        return owner in ("", method) and (own or self.setting in SHARED)


def parse_space(texts: Sequence[str]) -> tuple[Dimension, ...]:
    """Dimensions as typed.

    >>> [own.extremes for own in parse_space(["lr=0.01..0.3:log", "replay=16,32"])]
    [(0.01, 0.3), ('16', '32')]

    Raises:
        UserError: names what is none, or given twice.
    """
    dimensions = tuple(_parse(text) for text in texts)
    names = [own.name for own in dimensions]
    if not names:
        raise UserError(f"space: nothing to search; give --space NAME=VALUES, {EXAMPLE}")
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"space: {name} is given twice")
    return dimensions


def _parse(text: str) -> Dimension:
    if "=" not in text:
        raise UserError(f"space: expected NAME=VALUES, {EXAMPLE}, got '{text}'")
    try:
        name, values = assigned(text)
    except UserError:
        raise UserError(f"space: expected NAME=VALUES, {EXAMPLE}, got '{text}'") from None
    values = str(values)
    if name.rpartition(".")[2] in FIXED:
        raise UserError(f"space: {name} decides what is measured, not how well; it is not searched")
    if ".." not in values:
        choices = [each.strip() for each in values.split(",")]
        if len(set(choices)) < 2 or len(set(choices)) < len(choices) or not all(choices):
            raise UserError(
                f"space: {name} needs LOW..HIGH or two different values or more, got '{values}'"
            )
        named = {"true": True, "false": False}
        return Dimension(name=name, choices=tuple(named.get(each, each) for each in choices))
    span, colon, scale = values.partition(":")
    if colon and scale != "log":
        raise UserError(f"space: {name}: after ':' only 'log' is known, got '{scale}'")
    try:
        low, high = (_number(end) for end in span.split(".."))
    except ValueError:
        raise UserError(f"space: {name}: expected LOW..HIGH, got '{span}'") from None
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise UserError(f"space: {name}: expected finite LOW below HIGH, got '{span}'")
    if scale and low <= 0:
        raise UserError(f"space: {name}: LOW must be above 0 on a log scale, got '{span}'")
    return Dimension(name=name, low=low, high=high, log=bool(scale))


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        return float(text)


def space_of(
    label: str,
    method: str,
    dimensions: Sequence[Dimension],
    given: Mapping[str, Any],
    preset: str | None,
    beside: Collection[str],
) -> dict[str, Dimension]:
    """The dimensions of one method by setting, every value of them allowed for it.

    Args:
        label: the method, and what makes it a variant.
        given: all other settings.

    Raises:
        UserError: names the setting, what was given and what is allowed.
    """
    own: dict[str, Dimension] = {}
    for dimension in dimensions:
        name, setting = dimension.name, dimension.setting
        if {name, setting} & set(given) or f":{setting}=" in label:
            raise UserError(f"space: {name} is both searched and set")
        tried = []
        for value in dimension.extremes:
            try:
                own_given = {**given, name: value}
                tried.append(flat(compose(label, own_given, preset=preset, beside=beside)))
            except UserError as error:
                raise UserError(f"space: {name}={value}: {error}") from None
        if not dimension.concerns(method):
            continue
        if setting in own:
            raise UserError(f"space: {setting} of {method} is given twice")
        found = tuple(values[setting] for values in tried)
        if dimension.choices:
            own[setting] = Dimension(name=setting, choices=found)
        elif {type(value) for value in found} <= {int, float}:
            own[setting] = Dimension(name=setting, low=found[0], high=found[1], log=dimension.log)
        else:
            raise UserError(f"space: {name} has no LOW..HIGH: list its values")
    if not own:
        raise UserError(f"space: nothing of it concerns {label}")
    return own


def combinations(space: Mapping[str, Dimension]) -> Iterator[dict[str, Any]] | None:
    """All there are; None, where they are so many that one will hardly come twice."""
    values: list[Sequence[Any]] = []
    for own in space.values():
        if own.choices:
            values.append(own.choices)
        elif isinstance(own.low, int) and isinstance(own.high, int):
            values.append(range(own.low, own.high + 1))
        else:
            return None
    if math.prod(map(len, values)) > FEW:
        return None
    return (dict(zip(space, own, strict=True)) for own in itertools.product(*values))


def trials_of(study: Any) -> list[Any]:
    """Of Optuna's study, all that were run: what it failed is a proposal that came twice."""
    return [own for own in study.trials if own.state.name != "FAIL"]


def suggest(trial: Any, space: Mapping[str, Dimension]) -> dict[str, Any]:
    """Values for one trial, which is Optuna's."""
    values: dict[str, Any] = {}
    for name, own in space.items():
        if own.choices:
            values[name] = trial.suggest_categorical(name, list(own.choices))
        elif isinstance(own.low, int):
            values[name] = trial.suggest_int(name, own.low, own.high, log=own.log)
        else:
            values[name] = trial.suggest_float(name, own.low, own.high, log=own.log)
    return values
