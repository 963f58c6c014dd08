"""Files of images that cannot be used, and the reason for each."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from lord.config import UserError

CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
"""Characters that would end a line, or change what a terminal shows."""


class BadFile(NamedTuple):
    """A file that cannot be used.

    Attributes:
        file: its path, or its place in a larger file.
        reason: why, in a few words.
        passing: whether the file itself may be whole, because it could not be read.
    """

    file: str
    reason: str
    passing: bool = False


class BadFilesError(UserError):
    """Some files cannot be used. The line names the first one.

    Args:
        files: at least one.
        problem: what to say before the first file and its reason.
        hint: what to do next.

    Attributes:
        files: all of them.
    """

    def __init__(
        self, files: Sequence[BadFile], problem: str = "cannot use", hint: str | None = None
    ) -> None:
        first, more = files[0], len(files) - 1
        rest = f", and {more} more file{'s' * (more > 1)}" if more else ""
        super().__init__(f"{problem} '{first.file}': {first.reason}{rest}", hint=hint)
        self.files = tuple(files)


def bad_table(files: Sequence[BadFile]) -> list[str]:
    """Return a table with a line for each file. No name is cut, but line breaks are escaped.

    >>> print("\\n".join(bad_table([BadFile("a.png", "unknown format")])))
    file   reason
    a.png  unknown format
    """
    rows = [("file", "reason"), *((in_one_line(each.file), each.reason) for each in files)]
    width = max(len(name) for name, _ in rows)
    return [f"{name:<{width}}  {reason}" for name, reason in rows]


def in_one_line(name: str) -> str:
    """Return a name as it is, so that it can be copied, or quoted if it has control characters."""
    return repr(name) if CONTROL.search(name) else name
