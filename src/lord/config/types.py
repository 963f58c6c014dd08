"""Types of settings that carry their range, and how a type is described to a reader."""

from types import NoneType, UnionType
from typing import Annotated, Literal, Union, get_args, get_origin

from msgspec import Meta

LARGEST = 2**31
"""Integers stay below this."""
Count = Annotated[int, Meta(ge=1, lt=LARGEST)]
Natural = Annotated[int, Meta(ge=0, lt=LARGEST)]
AtLeastTwo = Annotated[int, Meta(ge=2, lt=LARGEST)]
Positive = Annotated[float, Meta(gt=0)]
NonNegative = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(gt=0, le=1)]
ProperFraction = Annotated[float, Meta(ge=0, lt=1)]
Probability = Annotated[float, Meta(ge=0, le=1)]
Groups = tuple[tuple[int | str, ...], ...]
"""Classes of each task, by number or by name."""

NAMES: dict[object, str] = {
    int: "an integer",
    float: "a number",
    bool: "true or false",
    str: "text",
    Groups: "classes in groups, such as 0,1/2,3 or cat,dog/ant,bee",
}


def describe(kind: object) -> str:
    """What values a type allows, in words.

    >>> describe(Count), describe(Probability), describe(Literal["a", "b"] | None)
    ('an integer, at least 1', 'a number from 0 to 1', 'one of a, b; or none')
    """
    if get_origin(kind) is Annotated:
        plain, *notes = get_args(kind)
        return describe(plain) + _range(notes)
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(map(str, get_args(kind)))
    if get_origin(kind) in (Union, UnionType):
        parts = [describe(part) for part in get_args(kind) if part is not NoneType]
        return "; or ".join([*parts, *(["none"] if NoneType in get_args(kind) else [])])
    return NAMES.get(kind) or str(getattr(kind, "__name__", kind))


def _range(notes: list[object]) -> str:
    """The bounds of a number in words, without those that only keep integers from overflowing."""
    bounds = {
        name: getattr(note, name)
        for note in notes
        if isinstance(note, Meta)
        for name in ("ge", "gt", "le", "lt")
        if getattr(note, name) not in (None, LARGEST)
    }
    if bounds.keys() == {"ge", "le"}:
        return f" from {bounds['ge']:g} to {bounds['le']:g}"
    words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    said = [f"{words[name]} {bound:g}" for name, bound in bounds.items()]
    return f", {' and '.join(said)}" if said else ""
