"""A run's progress as plain lines, for a log file or another place without a terminal."""

import sys
import time
from collections.abc import Callable


class ProgressLines:
    """Print a line after each task, and one now and then within a task.

    Args:
        pause: least number of seconds between a line within a task and the line before it.
        show: prints a line; by default to standard error.
    """

    def __init__(self, pause: float = 30.0, show: Callable[[str], None] | None = None) -> None:
        self.pause, self.show = pause, show or _to_standard_error
        self.last = time.monotonic()

    def task_begins(self, name: str, images: int | None, done: int) -> None:
        """Start a task with the number of its images over all epochs, and those done.

        None if the number of images is not known.
        """
        self.name, self.images, self.done = name, images, done
        self.start, self.before = time.monotonic(), done

    def trained(self, images: int, loss: float) -> None:
        """Count more images, and print a line if the last one was long ago."""
        self.done += images
        now = time.monotonic()
        if now - self.last < self.pause:
            return
        speed = (self.done - self.before) / max(now - self.start, 1e-9)
        if self.images is None:
            self._print(f"{self.name}: {self.done} images, loss {loss:.3f}, {speed:.0f} images/s")
            return
        left = max(self.images - self.done, 0) / max(speed, 1e-9)
        share = 100 * self.done / max(self.images, 1)
        self._print(
            f"{self.name}: {min(share, 100):.0f} %, loss {loss:.3f}, {speed:.0f} images/s, "
            f"{left:.0f} s left"
        )

    def task_ended(self, class_il: float) -> None:
        """Print the mean accuracy on the tasks seen."""
        seconds = time.monotonic() - self.start
        self._print(f"{self.name}: 100 %, Class-IL {class_il:.1f} %, {seconds:.0f} s")

    def _print(self, line: str) -> None:
        self.show(line)
        self.last = time.monotonic()


def _to_standard_error(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
