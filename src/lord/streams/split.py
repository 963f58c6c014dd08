"""The tasks that a user spells out: their classes, by number or by name."""

from collections.abc import Sequence

from lord.config import UserError, nearest, typed
from lord.config.types import Groups


def numbered(split: Groups, names: Sequence[str]) -> list[tuple[int, ...]]:
    """Return the class numbers of each task.

    >>> numbered((("cat", 0), ("bee",)), ["ant", "bee", "cat"])
    [(2, 0), (1,)]

    Args:
        split: classes of each task. An integer is the number of a class, from 0.
        names: names of all classes, in the order of their numbers.

    Raises:
        UserError: if a class does not exist or occurs twice, or a task has none.
    """
    number = {name: place for place, name in enumerate(names)}
    groups = []
    for task in split:
        for label in task:
            known = label in number if isinstance(label, str) else 0 <= label < len(names)
            if not known:
                raise _unknown(split, label, names)
        groups.append(tuple(number[each] if isinstance(each, str) else each for each in task))
    labels = [label for group in groups for label in group]
    if not labels or len(set(labels)) < len(labels) or not all(groups):
        allowed = "at least one class in each task, and no class twice"
        raise UserError(field="split", given=typed(split), allowed=allowed)
    return groups


def _unknown(split: Groups, label: int | str, names: Sequence[str]) -> UserError:
    """Return the error for a class that does not exist."""
    allowed = f"classes from 0 to {len(names) - 1}, or their names"
    return UserError(
        f"has the class {label!r}",
        field="split",
        given=typed(split),
        allowed=allowed,
        hint=nearest(label, names) if isinstance(label, str) else None,
    )
