"""How a configuration is checked, and how a wrong value is answered."""

import difflib
import math
import sys
from collections.abc import Collection, Iterable, Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import (
    Annotated,
    Any,
    Literal,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
)

import msgspec

Count = Annotated[int, msgspec.Meta(ge=1, lt=2**31)]
Natural = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
Positive = Annotated[float, msgspec.Meta(gt=0)]
NonNegative = Annotated[float, msgspec.Meta(ge=0)]
Share = Annotated[float, msgspec.Meta(gt=0, le=1)]
Part = Annotated[float, msgspec.Meta(ge=0, lt=1)]
Probability = Annotated[float, msgspec.Meta(ge=0, le=1)]
Momentum = Annotated[float, msgspec.Meta(ge=0, lt=1)]


class UserError(Exception):
    """What the user can put right, in one line: what was wrong, what was given, what is allowed.

    The command line prints it and exits with code 2.
    """


class LostError(UserError):
    """Another process of the same run is gone."""


def first_line(error: BaseException) -> str:
    """What an error says, in one line; its kind, where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every configuration: immutable, keyword-only, its fields documented in place."""


T = TypeVar("T", bound=Settings)


def fields(config: type[Settings]) -> tuple[str, ...]:
    """Names of its settings."""
    return config.__struct_fields__


def chosen(config: type[Settings], values: Mapping[str, Any]) -> dict[str, Any]:
    """Of ``values``, those ``config`` knows."""
    return {name: values[name] for name in fields(config) if name in values}


def expect(name: str, value: object, kind: type | tuple[type, ...], what: str) -> None:
    """See that an argument is of this kind.

    Args:
        what: such as "a path".

    Raises:
        UserError: names it, if not.
    """
    if not isinstance(value, kind):
        raise UserError(f"{name}: expected {what}, got {value!r}")


def as_path(name: str, value: object) -> Path:
    """A path given as text or as one.

    Raises:
        UserError: if it is neither, or empty.
    """
    if value == "":
        raise UserError(f"{name}: expected a path, got nothing")
    expect(name, value, (str, Path), "a path")
    return Path(str(value))


def check_budget(seconds: float | None, flops: float | None) -> None:
    """Raises:
    UserError: for what is no budget, or both.
    """
    for name, limit in (("seconds", seconds), ("flops", flops)):
        if limit is None:
            continue
        wrong = isinstance(limit, bool) or not isinstance(limit, Real)
        if wrong or not 0 < limit <= sys.float_info.max:
            raise UserError(f"{name}: expected a finite number above 0, got {limit!r}")
    if seconds and flops:
        raise UserError("seconds and flops: give one of them")


def nearest(given: str, allowed: Iterable[str]) -> str:
    """A hint naming the closest allowed word, or nothing.

    >>> nearest("lrod", ["lord", "er"])
    " (did you mean 'lord'?)"
    """
    close = difflib.get_close_matches(given.lower(), list(allowed), n=1, cutoff=0.5)
    return f" (did you mean '{close[0]}'?)" if close else ""


def choose(kind: str, given: object, allowed: Collection[str]) -> str:
    """Return ``given`` if it is allowed, else raise the error that names the nearest word."""
    given = str(given)
    if given in allowed:
        return given
    known = ", ".join(allowed)
    raise UserError(f"unknown {kind} '{given}'{nearest(given, allowed)}; known: {known}")


def build(config: type[T], values: Mapping[str, Any]) -> T:
    """Check ``values`` field by field and make the configuration.

    Raises:
        UserError: names the field, what was given and what is allowed.
    """
    hints = get_type_hints(config, include_extras=True)
    for name in values:
        if name not in hints:
            choose("setting", name, sorted(hints))
    return config(**{name: _convert(name, value, hints[name]) for name, value in values.items()})


def _convert(name: str, value: Any, hint: Any) -> Any:
    if get_origin(hint) is Literal:
        return choose(f"value of {name}", str(value), get_args(hint))
    if isinstance(value, float):  # numpy has kinds of its own
        value = float(value)
    elif isinstance(value, Integral) and not isinstance(value, bool):
        value = int(value)
    try:
        converted = msgspec.convert(value, hint, strict=False)
    except msgspec.ValidationError as error:
        said = str(error).split(" - at")[0].split(", got")[0].replace("`", "").lower()
        raise UserError(f"{name}: {said}, got {value!r}") from None
    if isinstance(converted, float) and not math.isfinite(converted):
        raise UserError(f"{name}: expected a finite number, got {value!r}")
    return converted
