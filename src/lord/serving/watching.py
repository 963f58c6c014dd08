"""Learn what arrives in a folder, session after session."""

import time
from collections.abc import Callable
from pathlib import Path

from lord.config import NothingNewError, RefusedError, UserError, first_line
from lord.data import BadFile, BadFilesError
from lord.learner import Learner, holds_learner, learn_folder
from lord.serving.arrivals import Arrivals

RETRY = 60.0
"""Seconds until pictures that are enough are tried again, if a look comes no earlier."""


class Watch:
    """Learns the pictures that arrive in a folder.

    Args:
        folder: images by class, FOLDER/CLASS/*.jpg. More of them arrive.
        state: the learner's folder.
        every: seconds between looks. A look learns new pictures.
        count: new pictures that are learned without waiting for the next look; None for no number.
        new_classes: see ``learn_folder``.
        report: receives lines of text.
    """

    def __init__(
        self,
        folder: Path,
        state: Path,
        *,
        every: float = 60.0,
        count: int | None = None,
        new_classes: bool | None = None,
        report: Callable[[str], None] = print,
    ) -> None:
        self.state, self.every, self.count = state, every, count
        self.new_classes, self.report = new_classes, report
        self.arrivals = Arrivals(folder, state)
        self._said = ""

    def run(self) -> None:
        """Look again and again, until an exception such as ``KeyboardInterrupt``."""
        look = again = time.monotonic()
        while True:
            there = self._scan()
            now, new = time.monotonic(), self.arrivals.new
            enough = self.count is not None and len(new) >= self.count and now >= again
            # Pictures that arrive together are learned together, so their copy may end first.
            waits = self.arrivals.moving and now < look + self.every
            if there and (enough or (now >= look and not waits)):
                look = now + self.every
                if new:
                    self._attempt()
                if self.arrivals.new:  # something else than the pictures prevents a session
                    again = now + min(self.every, RETRY)
            time.sleep(min(self.arrivals.pause, max(self.every, 0.1)))

    def once(self) -> None:
        """Learn new pictures.

        Raises:
            NothingNewError: if nothing is.
            RefusedError: if the session is refused. What it offered is offered again when the
                folder has changed.
            UserError: if something else prevents it. The pictures stay new.
        """
        self.arrivals.scan()
        time.sleep(self.arrivals.pause)
        self.arrivals.scan()
        if self.arrivals.moving:
            self.report(f"{self.arrivals.moving} pictures are still being written")
        if not self.arrivals.new:
            raise NothingNewError(f"no picture in '{self.arrivals.folder}' is new")
        self._learn()

    def _scan(self) -> bool:
        """Look at the folder, and return whether it can be read."""
        try:
            self.arrivals.scan()
        except UserError as error:  # such as a disk that is not mounted
            self._say_once(str(error))
            return False
        return True

    def _attempt(self) -> None:
        """Learn new pictures, and report what prevents it."""
        try:
            self._learn()
        except UserError as error:
            self._say_once(str(error))
        except (OSError, MemoryError) as error:
            self._say_once(first_line(error))
        else:
            self._said = ""

    def _learn(self) -> None:
        """Learn new pictures with those refused before, or without them if that is refused."""
        new, offered = self.arrivals.new, self.arrivals.to_learn
        try:
            self._learn_files(offered)
        except RefusedError as error:
            if len(new) == len(offered) or self._interrupted():
                raise
            self._say_once(str(error))
            self._learn_files(new)

    def _learn_files(self, files: list[Path]) -> None:
        """Learn one session, and note what became of its pictures."""
        continues, later = self._interrupted(), list[BadFile]()
        try:
            learner = learn_folder(
                self.state,
                self.arrivals.folder,
                {},
                only={str(file) for file in files},
                new_classes=self.new_classes,
                later=later,
                report=self.report,
            )
        except NothingNewError:
            if not continues:
                self._note(files, later)
            raise NothingNewError(f"{len(files)} new pictures were all learned before") from None
        except BadFilesError as error:
            if not continues:
                self._note(files, [*later, *(bad for bad in error.files if bad.passing)])
            raise
        except RefusedError:  # after any other error, such as a full disk, they are still new
            if not self._interrupted():
                self.arrivals.note(files, refused=True)
            raise
        if not continues:  # else some of the files wait for a session of their own
            self._note(files, later)
        self.report(summary(learner))

    def _note(self, files: list[Path], later: list[BadFile]) -> None:
        """Note files as learned, but offer those again that may be learned later."""
        self.arrivals.note(files)
        if later:
            self.arrivals.note([Path(each.file) for each in later], refused=True)

    def _interrupted(self) -> bool:
        """Whether a session has begun and not ended, such as for a full disk."""
        try:
            return holds_learner(self.state) and Learner.load(self.state).unfinished is not None
        except UserError:
            return True

    def _say_once(self, text: str) -> None:
        if text != self._said:
            self.report(text)
        self._said = text


def summary(learner: Learner) -> str:
    """Return the last session in a line."""
    session = learner.sessions[-1]
    new = f" ({', '.join(session.new_classes)} new)" if session.new_classes else ""
    held = [each for each in session.held_out if each == each]
    accuracy = f", held-out accuracy {sum(held) / len(held):.0f} %" if held else ""
    return (
        f"session {len(learner.sessions)}: {session.images} images, {len(learner.classes)} "
        f"classes{new}, {session.seconds:.0f} s{accuracy}"
    )
