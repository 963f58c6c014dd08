"""The origin of a comparison's figures: command, commit, versions and machine."""

from pathlib import Path

import msgspec

from lord.config import UserError
from lord.evaluation.record import Value


class Study(msgspec.Struct, frozen=True, kw_only=True):
    """The description of a comparison. A list has several entries if runs differ."""

    command: str
    """The command line, as text."""
    given: dict[str, Value] | None = None
    """The settings that the command gave to all runs; None in files of old versions.

    ``lord.rho`` is a setting of one method.
    """
    commits: list[str] = []
    versions: list[str] = []
    machines: list[str] = []
    dates: list[str] = []
    against: str | None = None
    """The variant that the others are compared with, as text."""
    labels: list[str] = []
    """The variants that the command runs; the folder may hold runs of earlier commands too."""


def read_environment(folder: Path) -> dict[str, object]:
    """Read the versions and the machine of the run in ``folder``; empty if they are lost."""
    try:
        made = msgspec.json.decode((folder / "environment.json").read_bytes())
    except (OSError, msgspec.MsgspecError):
        return {}
    return made if isinstance(made, dict) else {}


def read_study(folder: Path) -> Study | None:
    """Read the description of the comparison in ``folder``; None if it has none.

    Raises:
        UserError: if the file is damaged.
    """
    file = folder / "study.json"
    if not file.is_file():
        return None
    try:
        return msgspec.json.decode(file.read_bytes(), type=Study)
    except msgspec.MsgspecError as error:
        raise UserError(f"'{file}' is not the description of a comparison: {error}") from None
