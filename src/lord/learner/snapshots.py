"""The learner before each of its latest sessions, as files in its folder."""

import re
from pathlib import Path
from typing import Any

from lord.config import UserError
from lord.learner.session import SNAPSHOTS, STATE_FILE
from lord.storage import UnreadableError, link_state, load_state, previous

OLD_NAME = "state-finished.safetensors"
"""File that earlier versions kept: the learner before its latest session."""


def snapshot(folder: Path, sessions: int) -> Path:
    """Return the file of the learner as it was after a number of sessions."""
    return folder / f"state-after-{sessions}.safetensors"


def snapshots(folder: Path) -> dict[int, Path]:
    """Return the files that there are, by the number of sessions, in ascending order."""
    found = {}
    for file in folder.glob(SNAPSHOTS):
        if number := re.fullmatch(r"state-after-(\d+)", file.stem):
            found[int(number[1])] = file
    return dict(sorted(found.items()))


def load_latest(file: Path) -> tuple[Any, str | None]:
    """Read a learner's file, as ``load_state`` does.

    Raises:
        UnreadableError: if a newer version wrote it, or permission to read it is missing.
        UserError: if it is gone or damaged. The hint names the file of an earlier session.
    """
    try:
        return load_state(file)
    except UnreadableError:  # it may be whole, so nothing should take its place
        raise
    except UserError as error:
        earlier = list(snapshots(file.parent).values())
        if earlier and file.name == STATE_FILE and error.hint is None:
            error.hint = f"to return to an earlier session, rename '{earlier[-1]}' to '{file}'"
        raise


def kept_before(folder: Path, sessions: int) -> Path:
    """Return the file of the learner before an unfinished session, whichever version kept it."""
    old = folder / OLD_NAME
    return old if old.exists() else snapshot(folder, sessions)


def take_snapshot(folder: Path, sessions: int) -> None:
    """Keep the learner in a folder, which is between sessions, under a second name.

    Nothing is copied where the system has hard links.

    Args:
        folder: the learner's folder, which is locked.
        sessions: number of its sessions.
    """
    link_state(folder / STATE_FILE, snapshot(folder, sessions))


def restore_snapshot(folder: Path, sessions: int) -> None:
    """Return a folder to the learner after a number of sessions. Later snapshots are removed."""
    snapshot(folder, sessions).replace(folder / STATE_FILE)
    previous(folder / STATE_FILE).unlink(missing_ok=True)
    drop_snapshots(folder, range(sessions))


def drop_snapshots(folder: Path, kept: range) -> None:
    """Remove snapshots, except those after a number of sessions in ``kept``."""
    for sessions, file in snapshots(folder).items():
        if sessions not in kept:
            file.unlink()


def rename_old_snapshot(folder: Path) -> None:
    """Give the snapshot that an earlier version kept its name of today."""
    old = folder / OLD_NAME
    if old.exists():
        state, _ = load_state(old)
        old.replace(snapshot(folder, len(state["learner"]["sessions"])))
    previous(old).unlink(missing_ok=True)
