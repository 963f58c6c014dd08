"""Turn names and values into a checked, frozen configuration."""

import difflib
import math
import re
import sys
from collections.abc import Collection, Iterable, Mapping
from numbers import Integral, Real
from pathlib import Path
from types import NoneType
from typing import Any, TypeVar, get_args, get_type_hints

import msgspec

from lord.config.errors import UserError
from lord.config.types import LARGEST, Groups, describe

Value = str | int | float | bool | None | list[Any] | tuple[Any, ...]
"""A setting's value as it is given, before it is checked."""
LONG = 20
"""Names that a message lists, at most, if it can name the nearest."""


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every configuration: immutable and keyword-only. Each field has a docstring."""


C = TypeVar("C", bound=Config)


def fields(config: type[Config]) -> tuple[str, ...]:
    """Names of a configuration's fields."""
    return config.__struct_fields__


def setting_name(text: str) -> str:
    """Return a setting's name as it is in Python. A method's name before the dot stays as it is.

    >>> setting_name("weight-decay"), setting_name("er-las.weight-decay")
    ('weight_decay', 'er-las.weight_decay')
    """
    owner, dot, name = text.rpartition(".")
    return f"{owner}{dot}{name.replace('-', '_')}"


def chosen(config: type[Config], values: Mapping[str, Value]) -> dict[str, Value]:
    """The entries of ``values`` that are fields of ``config``."""
    return {name: values[name] for name in fields(config) if name in values}


def build(config: type[C], values: Mapping[str, Value]) -> C:
    """Check values field by field and make the configuration.

    Text is converted, so that values may come from a file or a command line.

    Raises:
        UserError: for an unknown name, or a value outside its field's type.
    """
    hints = get_type_hints(config, include_extras=True)
    for name in values:
        if name not in hints:
            raise unknown_setting(name, hints)
    return config(**{name: convert(name, value, hints[name]) for name, value in values.items()})


def convert(name: str, value: object, kind: object) -> Any:
    """Return a setting's value in the type of its field.

    >>> convert("lr", "1e-3", float), convert("split", "0,1/2", Groups)
    (0.001, ((0, 1), (2,)))
    >>> convert("split", "cat, dog; ant", Groups)
    (('cat', 'dog'), ('ant',))
    >>> convert("pace", "none", float | None) is None
    True

    Args:
        kind: the type, with its range.

    Raises:
        UserError: if the type does not allow it.
    """
    plain, allowed = _plain(value, kind), describe(kind)
    try:
        converted = msgspec.convert(plain, kind, strict=False)
    except msgspec.ValidationError:
        words = allowed.removeprefix("one of ").split(", ") if "one of " in allowed else []
        hint = nearest(value, words) if isinstance(value, str) else None
        if str(value).isdigit() and int(str(value)) >= LARGEST:
            allowed += f", below {LARGEST}"
        raise UserError(field=name, given=value, allowed=allowed, hint=hint) from None
    if isinstance(converted, float) and not math.isfinite(converted):
        raise UserError(field=name, given=value, allowed=f"{allowed}, finite")
    return converted


def plain_number(value: Any) -> Any:
    """Return numbers of any type as int or float, and other values unchanged."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return value
    return int(value) if isinstance(value, Integral) else float(value)


def _plain(value: object, kind: object) -> object:
    """A value in the types that msgspec converts from."""
    if isinstance(value, Real):
        return plain_number(value)
    if isinstance(value, str) and value.lower() == "none" and NoneType in get_args(kind):
        return None
    if isinstance(value, str) and re.fullmatch(r"-?\.\d+(e-?\d+)?", value):
        return float(value)  # msgspec needs a digit before the point
    if isinstance(value, str) and Groups in (kind, *get_args(kind)):
        # Names of classes may have a slash, so a semicolon can stand in its place.
        groups = value.split(";" if ";" in value else "/")
        words = [[word.strip() for word in group.split(",")] for group in groups]
        return [[int(word) if word.isdecimal() else word for word in group] for group in words]
    return value


def choose(field: str, given: object, allowed: Collection[str]) -> str:
    """Return ``given`` as text if it is among ``allowed``.

    Raises:
        UserError: names the allowed values, and the nearest one if there is one.
    """
    if (text := str(given)) in allowed:
        return text
    known = ", ".join(allowed)
    raise UserError(
        field=field, given=given, allowed=f"one of {known}", hint=nearest(text, allowed)
    )


def unknown_setting(name: str, known: Iterable[str], owner: str = "") -> UserError:
    """Return the error for a setting that does not exist.

    Args:
        known: settings that exist. A long list is not shown where one of them is near.
        owner: method or part that was meant to have it.
    """
    known = sorted(known)
    problem = f"is not a setting of {owner}" if owner else "is not a setting"
    hint = nearest(name, known)
    allowed = None if hint and len(known) > LONG else f"one of {', '.join(known)}"
    return UserError(problem, field=name, allowed=allowed, hint=hint)


def nearest(given: str, allowed: Iterable[str]) -> str | None:
    """A hint that names the closest allowed word; None where none is close.

    >>> nearest("lrod", ["lord", "er"])
    "did you mean 'lord'?"
    """
    close = difflib.get_close_matches(given.lower(), list(allowed), n=1, cutoff=0.5)
    return f"did you mean '{close[0]}'?" if close else None


def expect(field: str, value: object, kind: type | tuple[type, ...], allowed: str) -> None:
    """Check the type of an argument.

    Args:
        allowed: the type in words, such as "a path".

    Raises:
        UserError: if it has another type.
    """
    if not isinstance(value, kind):
        raise UserError(field=field, given=value, allowed=allowed)


def as_path(field: str, value: object) -> Path:
    """Return a path given as text or as a ``Path``.

    Raises:
        UserError: if it is neither, or empty.
    """
    if value == "":
        raise UserError(field=field, given=value, allowed="a path")
    expect(field, value, (str, Path), "a path")
    return Path(str(value))


def check_budget(seconds: float | None, flops: float | None) -> None:
    """Check a training budget in seconds or FLOPs; None where there is none.

    Raises:
        UserError: if one is not a finite number above 0, or both are given.
    """
    for name, limit in (("seconds", seconds), ("flops", flops)):
        if limit is None:
            continue
        number = isinstance(limit, Real) and not isinstance(limit, bool)
        if not number or not 0 < limit <= sys.float_info.max:
            raise UserError(field=name, given=limit, allowed="a finite number above 0")
    if seconds and flops:
        raise UserError("cannot be combined with `flops`", field="seconds", hint="give one of them")
