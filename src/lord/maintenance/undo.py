"""Take back the last sessions of a learner."""

from pathlib import Path

from torch import nn

from lord.config import UserError, as_path, convert
from lord.config.types import Count
from lord.learner import STATE_FILE, Learner
from lord.learner.session import learner_file
from lord.learner.snapshots import (
    load_latest,
    rename_old_snapshot,
    restore_snapshot,
    snapshot,
    snapshots,
)
from lord.storage import locked


def undo_sessions(
    folder: str | Path, sessions: int = 1, network: nn.Module | None = None
) -> Learner:
    """Return a learner's folder to the state before its last sessions.

    A session that was interrupted counts as one. The images of these sessions can be learned again.

    Args:
        folder: the learner's folder.
        sessions: how many sessions to take back.
        network: the module that the learner was made with, if any.

    Returns:
        The learner as it was.

    Raises:
        LockedError: if another process uses the learner.
        UserError: if the learner before those sessions is not kept, or there was none.
    """
    folder = as_path("folder", folder)
    sessions = convert("sessions", sessions, Count)
    learner_file(folder)  # there is one
    with locked(folder, "taking sessions back"):
        rename_old_snapshot(folder)
        _check_whole(folder)
        learner = Learner.load(folder, network)
        left = len(learner.sessions) + (learner.unfinished is not None) - sessions
        _check_kept(learner, folder, sessions, left)
        earlier = Learner.load(snapshot(folder, left), network)
        if [s.key for s in earlier.sessions] != [s.key for s in learner.sessions[:left]]:
            raise UserError(
                f"'{snapshot(folder, left)}' belongs to another learner", hint="remove that file"
            )
        restore_snapshot(folder, left)
    return earlier


def _check_whole(folder: Path) -> None:
    """Check that the last checkpoint can be read. An older one may have fewer sessions.

    Raises:
        UserError: if not.
    """
    file = folder / STATE_FILE
    _, note = load_latest(file)
    if note:
        whole = [str(kept) for kept in snapshots(folder).values()]
        raise UserError(
            f"'{file}' is damaged, so its number of sessions is not known",
            hint=f"replace it by '{whole[-1]}'" if whole else None,
        )


def _check_kept(learner: Learner, folder: Path, sessions: int, left: int) -> None:
    """Check that the learner is kept as it was before its last sessions.

    Raises:
        UserError: if not. It says how far back one can go.
    """
    if left < 1:
        raise UserError(
            f"leaves nothing of the learner in '{folder}'",
            field="sessions",
            given=sessions,
            hint="to begin again, make a new learner in another folder",
        )
    if left not in snapshots(folder):
        begun = len(learner.sessions) + (learner.unfinished is not None)
        back = [begun - each for each in snapshots(folder) if each < begun]
        raise UserError(
            f"is further back than '{folder}' keeps",
            field="sessions",
            given=sessions,
            allowed=f"at most {max(back)}" if back else None,
            hint=f"a learner keeps {learner.config.undo}, as its setting `undo` says",
        )
