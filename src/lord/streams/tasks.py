"""A stream of tasks, with the images of one task in memory at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import overload

import torch
from torch import Tensor


@dataclass(frozen=True)
class Task:
    """One task of a stream: training images, or images to score.

    Attributes:
        index: position in the stream, from 0.
        classes: its labels, ascending.
        images: N x C x H x W uint8, before augmentation.
        labels: N int64.
        rows: N int64, for images that other tasks have too: the same image has the same row in all
            of them, and is scored once. None if tasks share no image.
    """

    index: int
    classes: tuple[int, ...]
    images: Tensor
    labels: Tensor
    rows: Tensor | None = None

    def to(self, device: torch.device) -> "Task":
        """Return the task on a device, with its images stored channels-last."""
        images = self.images.to(device, memory_format=torch.channels_last)
        rows = None if self.rows is None else self.rows.to(device)
        return Task(self.index, self.classes, images, self.labels.to(device), rows)


class Tasks(Sequence[Task]):
    """A sequence of tasks that are made when they are indexed, so that only one needs memory.

    Args:
        number: number of tasks.
        make: returns the task at a position from 0.
    """

    def __init__(self, number: int, make: Callable[[int], Task]) -> None:
        self.number, self.make = number, make

    def __len__(self) -> int:
        return self.number

    @overload
    def __getitem__(self, place: int) -> Task: ...
    @overload
    def __getitem__(self, place: slice) -> "Tasks": ...
    def __getitem__(self, place: int | slice) -> "Task | Tasks":
        if isinstance(place, int):
            return self.make(range(self.number)[place])
        places = range(self.number)[place]
        return Tasks(len(places), lambda index: self.make(places[index]))


@dataclass(frozen=True)
class Stream:
    """Tasks to train on, and the images to score for each task.

    Labels are numbered in the order in which classes appear. New classes follow those of earlier
    tasks.

    Attributes:
        train: the tasks. Those of ``make_stream`` are made each time they are indexed.
        test: for each task, its test images and labels.
        class_names: name of each label.
    """

    train: Sequence[Task]
    test: Sequence[Task]
    class_names: tuple[str, ...]

    def first(self, number: int | None) -> "Stream":
        """Return the stream with its first ``number`` tasks; all tasks for None."""
        return Stream(self.train[:number], self.test[:number], self.class_names)

    def joined(self) -> "Stream":
        """Return the stream with all training data in one task, for joint training."""
        tasks = tuple(self.train)
        whole = Task(
            0,
            tuple(sorted({label for task in tasks for label in task.classes})),
            torch.cat([task.images for task in tasks]),
            torch.cat([task.labels for task in tasks]),
        )
        return Stream((whole,), self.test, self.class_names)

    def to(self, device: torch.device) -> "Stream":
        """Return the stream with tasks that move to a device when they are indexed."""
        train = Tasks(len(self.train), lambda place: self.train[place].to(device))
        test = Tasks(len(self.test), lambda place: self.test[place].to(device))
        return Stream(train, test, self.class_names)

    def changed(self, change: Callable[[Tensor], Tensor]) -> "Stream":
        """Return the stream with images that a function changes when a task is indexed."""

        def of(tasks: Sequence[Task]) -> Tasks:
            return Tasks(
                len(tasks), lambda place: replace(task := tasks[place], images=change(task.images))
            )

        return Stream(of(self.train), of(self.test), self.class_names)
