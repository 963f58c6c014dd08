"""Errors the user can put right, and the one place that words them."""

import re
from collections.abc import Callable
from pathlib import Path

import msgspec

PARENT = "LORD_PARENT"
"""Environment variable with the ID of the process that started a run. The run stops if it ends.
Its errors name settings without flags, because that process tells them to its caller."""


class UserError(Exception):
    """Something the user can put right, told in one line.

    The line reads ``field: what was given; what is allowed; what to do next``. Names of settings
    stand between backticks, so that the command line can show them as flags.

    >>> str(UserError(field="epochs", given=0, allowed="an integer, at least 1"))
    'epochs: got 0; expected an integer, at least 1'
    >>> str(UserError("holds results", field="out", given=Path("runs/a"), hint="set `overwrite`"))
    "out: 'runs/a' holds results; set `overwrite`"

    Args:
        problem: what is wrong, in words; unneeded where ``given`` and ``allowed`` say it.
        field: name of the argument or setting.
        given: its value.
        allowed: what it may be, such as "an integer, at least 1".
        hint: what to do next.

    Attributes:
        code: exit code of a command that ends with the error. A subclass has another one where a
            script must tell it apart.
    """

    code = 2

    def __init__(
        self,
        problem: str = "",
        *,
        field: str | None = None,
        given: object = msgspec.UNSET,
        allowed: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(problem)
        self.problem, self.field, self.given = problem, field, given
        self.allowed, self.hint = allowed, hint

    def worded(self, show: Callable[[str], str] = "`{}`".format) -> str:
        """The error in one line.

        Args:
            show: how the name of a setting is written, in the text and at its beginning.
        """
        what = self.problem
        if self.given is not msgspec.UNSET:
            given = repr(str(self.given)) if isinstance(self.given, Path) else repr(self.given)
            what = f"{given} {what}" if what else f"got {given}"
        allowed = f"expected {self.allowed}" if self.allowed else ""
        text = "; ".join(part for part in (what, allowed, self.hint) if part)
        text = re.sub(r"`(\w+)`", lambda match: show(match[1]), text)
        return f"{show(self.field).strip('`')}: {text}" if self.field else text

    def __str__(self) -> str:
        return self.worded()


class LostError(UserError):
    """Another process of the same run is gone."""


class NothingNewError(UserError):
    """There is nothing to do, because everything given was learned before."""

    code = 3


class LockedError(UserError):
    """Another process uses the folder."""

    code = 4


class RefusedError(UserError):
    """Images or names of classes do not fit a learner. They would be refused again."""


class GuardRailError(RefusedError):
    """A session was learned and then dropped, because it harmed the learner."""

    code = 5


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its type where it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
