"""What a loop tells those who show or store its progress."""

from typing import Protocol

from lord.evaluation import Scores


class Watcher(Protocol):
    """Receives the progress of a loop, to show or to store it. Tasks count from 0."""

    def task_begins(self, task: int, tasks: int, images: int | None, done: int) -> None:
        """Called before a task with the number of its images over all epochs, and those done.

        None if the number of images is not known.
        """

    def trained(self, task: int, step: int, images: int, scalars: dict[str, float]) -> None:
        """Called at intervals with the images and the scalars since the last call.

        A scalar is a mean over the steps that returned it.
        """

    def task_ended(self, task: int, trained: Scores, recomputed: Scores | None) -> None:
        """Called with the scores after a task, with trained and with recomputed statistics."""
