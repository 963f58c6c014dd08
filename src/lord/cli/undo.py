"""``lord undo``: take back the last sessions of a learner."""

from pathlib import Path
from typing import Annotated

from lord.cli.console import say
from lord.cli.flags import checked
from lord.cli.learner import accuracies, warnings_printed
from lord.config import load_plugin
from lord.config.types import Count

EXAMPLES = """
lord undo memory
lord undo memory --sessions 2
"""


def undo(
    state: Path,
    /,
    *,
    sessions: Annotated[int, checked(Count)] = 1,
    plugin: Path | None = None,
) -> None:
    """Take back the last sessions of a learner, such as a week with wrong labels.

    The learner is as it was before them, and their images can be learned again. A session that was
    interrupted counts as one.

    Parameters
    ----------
    state
        Folder of the learner.
    sessions
        How many sessions to take back. A learner keeps three, or as many as its setting undo says.
    plugin
        Python file that registers methods or networks.
    """
    from lord.maintenance import undo_sessions

    if plugin:
        load_plugin(plugin)
    with warnings_printed():
        learner = undo_sessions(state, sessions)
    count = f"{len(learner.sessions)} session{'s' * (len(learner.sessions) != 1)}"
    say(f"the learner has {count} and {len(learner.classes)} classes, as before")
    say(accuracies(learner))
