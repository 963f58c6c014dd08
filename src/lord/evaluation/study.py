"""Where a study's figures come from: the command, the commit, the versions, the machine."""

from pathlib import Path
from typing import Any

import msgspec

from lord.config import UserError


class Study(msgspec.Struct, frozen=True, kw_only=True):
    """What a comparison says of itself. Several values where its runs differ in them."""

    command: str
    commits: list[str] = []
    versions: list[str] = []
    machines: list[str] = []
    dates: list[str] = []
    against: str | None = None
    """Label of what the others are compared with."""
    labels: list[str] = []
    """Of the runs the command makes, where that is known; others were there before."""


def read_environment(folder: Path) -> dict[str, Any]:
    """What the run in ``folder`` was made by and on; nothing, where that is lost."""
    try:
        made = msgspec.json.decode((folder / "environment.json").read_bytes())
    except (OSError, msgspec.MsgspecError):
        return {}
    return made if isinstance(made, dict) else {}


def read_study(folder: Path) -> Study | None:
    """What ``folder`` says of itself, if it does.

    Raises:
        UserError: if that cannot be read.
    """
    file = folder / "study.json"
    if not file.is_file():
        return None
    try:
        return msgspec.json.decode(file.read_bytes(), type=Study)
    except msgspec.MsgspecError as error:
        raise UserError(f"{file} is not a study's description: {error}") from None
