"""Whether a run is in progress, and the error that ended it (error.json)."""

import os
from pathlib import Path
from typing import Literal

import msgspec

from lord.evaluation.record import finished
from lord.storage import is_locked, write_json

FAILURE = "error.json"
State = Literal["finished", "running", "failed", "stopped"]
"""``failed``: an error ended it. ``stopped``: it was killed or interrupted."""


class Failure(msgspec.Struct, frozen=True):
    """The error that ended a run, in one line."""

    error: str


def write_failure(folder: Path, error: str) -> None:
    """Write the error that ended a run to its folder."""
    write_json(folder / FAILURE, Failure(error))


def read_failure(folder: Path) -> str | None:
    """Return the error that ended the run in ``folder``; None if no error did."""
    try:
        return msgspec.json.decode((folder / FAILURE).read_bytes(), type=Failure).error
    except (OSError, msgspec.MsgspecError):
        return None


def forget_failure(folder: Path) -> None:
    """Remove the error of an earlier attempt, because the run begins or goes on."""
    (folder / FAILURE).unlink(missing_ok=True)


def state_of(folder: Path) -> State:
    """Return whether the run in ``folder`` has finished, is running, or ended before its end.

    A process holds the lock of its run until it ends, even if it is killed. A run on a cluster has
    no lock here. It runs as long as the comparison around it holds the lock of its folder.
    """
    if finished(folder):
        return "finished"
    lock = folder / "lock"
    if lock.exists() and (is_locked(folder) or not os.access(lock, os.W_OK)):
        return "running"
    if read_failure(folder) is not None:
        return "failed"
    return "running" if not lock.exists() and is_locked(folder.parent) else "stopped"
