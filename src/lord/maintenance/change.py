"""Change a learner in its folder, and its snapshots alike."""

from collections.abc import Callable
from pathlib import Path

from torch import nn

from lord.config import UserError
from lord.learner import STATE_FILE, Learner
from lord.learner.session import learner_file
from lord.learner.snapshots import rename_old_snapshot, snapshots
from lord.storage import locked, save_state

Change = Callable[[Learner], None]


def change_folder(
    folder: Path, doing: str, check: Change, change: Change, network: nn.Module | None
) -> Learner:
    """Change the learner in a folder, and the learner before each session that can be undone.

    The learner itself is written last. So if the process is killed, the same call can be repeated.
    No file keeps what was changed.

    Args:
        folder: the learner's folder.
        doing: activity of this process, for errors in other processes.
        check: refuses what cannot be done to the learner. Then nothing is written.
        change: changes a learner. It leaves one alone that does not have what is to be changed.
        network: the module that the learner was made with, if any.

    Raises:
        LockedError: if another process uses the learner.
        UserError: if a session is unfinished, or a file cannot be read or written.
    """
    learner_file(folder)  # there is one
    with locked(folder, doing):
        rename_old_snapshot(folder)
        learner = Learner.load(folder, network)
        if learner.unfinished is not None:
            way = "take it back with 'lord undo'"
            if not learner.sessions:  # there is nothing to return to
                way = "drop it with 'lord learn --abandon'"
            problem = f"a session was interrupted in '{folder}'"
            raise UserError(problem, hint=f"finish it, or {way}")
        check(learner)
        change(learner)
        for file in snapshots(folder).values():
            earlier = Learner.load(file, network)
            change(earlier)
            if len(earlier.classes) < 2:  # it could not predict
                file.unlink()
                continue
            save_state({"learner": earlier.state_dict()}, file, before=False)
        save_state({"learner": learner.state_dict()}, folder / STATE_FILE, before=False)
    return learner
