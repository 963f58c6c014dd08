"""Keep a served learner up to date with the file that sessions write."""

import time
from collections.abc import Callable
from pathlib import Path

from lord.config import UserError
from lord.learner import STATE_FILE
from lord.serving.served import Served, Stamp, load_served, stamp
from lord.storage import has_state

AGAIN = 60.0
"""Seconds after which a state that could not be read is tried again."""


class Current:
    """The learner that answers now.

    Args:
        folder: the learner's folder.
        report: receives a line of text for each change.

    Attributes:
        served: the learner; None until a session has ended.
        problem: why the state on disk is not served; None if it is, or is not to be.
        reloads: how often a learner was read after the first one.
        failures: how often one could not be read.
    """

    def __init__(self, folder: Path, report: Callable[[str], None]) -> None:
        self.folder, self.report = folder, report
        self.served: Served | None = None
        self.problem: str | None = None
        self.reloads = self.failures = 0
        self._stamp: Stamp | None = None
        self._tried = 0.0

    def refresh(self) -> None:
        """Read the state if it has changed. Until that is done, the learner before it answers.

        One thread may call this while another one uses ``served``.
        """
        found = stamp(self.folder / STATE_FILE)
        if found is None and has_state(self.folder / STATE_FILE):  # it is being replaced
            return
        retry = self.problem is not None and time.monotonic() - self._tried > AGAIN
        if found == self._stamp and not retry:
            return
        self._tried, self._stamp = time.monotonic(), found
        try:
            if found is None:
                raise UserError(f"the checkpoint in '{self.folder}' is gone")
            served = load_served(self.folder, older=self.served is None)
        except Exception as error:  # whatever is in the file, the server goes on
            self._fail(str(error) or "out of memory")
            return
        self.problem = None
        if served is not None and (self.served is None or served.version != self.served.version):
            self._replace(served)

    def _replace(self, found: Served) -> None:
        self.reloads += self.served is not None
        self.served = found
        for note in found.notes:
            self.report(note)
        classes = len(found.learner.classes)
        self.report(f"serving session {found.session}, version {found.version}, {classes} classes")

    def _fail(self, problem: str) -> None:
        self.failures += 1
        if problem != self.problem:
            self.report(f"cannot read the new state: {problem}")
        self.problem = problem
