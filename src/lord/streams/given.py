"""Streams of tasks that come with the images, such as domains of the same classes."""

import torch
from torch import Tensor

from lord.config import UserError
from lord.data import ImageData
from lord.streams.source import Source, shuffled
from lord.streams.tasks import Task, Tasks


def number_of_tasks(data: ImageData) -> int:
    """Return how many tasks a data set is cut into.

    Raises:
        UserError: if it is not cut into tasks, or a task lacks images to train on or to score.
    """
    if data.train_tasks is None or data.test_tasks is None:
        raise UserError(
            "needs images that come with their tasks",
            field="scenario",
            given="given",
            hint="set `scenario` to 'classes'",
        )
    number = int(torch.cat([data.train_tasks, data.test_tasks]).max()) + 1
    for split, tasks in (("training", data.train_tasks), ("test", data.test_tasks)):
        counts = tasks.bincount(minlength=number)
        if not counts.all():
            raise UserError(f"task {int(counts.argmin()) + 1} has no {split} images")
    return number


def appearance(data: ImageData, places: list[int]) -> list[int]:
    """Return the classes in the order in which they appear.

    Args:
        places: the tasks in the order in which they are learned.

    Raises:
        UserError: if a class has test images, but no training images.
    """
    assert data.train_tasks is not None
    order: dict[int, None] = {}
    for place in places:
        order |= dict.fromkeys(data.train_labels[data.train_tasks == place].unique().tolist())
    for label in data.test_labels.unique().tolist():
        if label not in order:
            raise UserError(f"class '{data.classes[label]}' has test images, but none to train on")
    return list(order)


def given_places(data: ImageData, tasks: int, seed: int | None) -> list[int]:
    """Return the tasks that come with the images, in the order in which they are learned.

    Args:
        tasks: the number of tasks that there should be.
        seed: shuffles the tasks; None to keep their order.

    Raises:
        UserError: if there is another number of tasks, or one lacks images.
    """
    if (number := number_of_tasks(data)) != tasks:
        raise UserError(
            field="tasks",
            given=tasks,
            allowed=f"{number}, the number of tasks that come with the images",
        )
    return list(range(number)) if seed is None else shuffled(number, seed)


def cut_as_given(source: Source, places: list[int], classes: list[tuple[int, ...]]) -> Tasks:
    """Cut into the tasks that come with the images, in the order ``places``.

    Args:
        classes: the classes of each task.
    """

    def make(place: int) -> Task:
        return source.task(place, classes[place], _rows(source, places[place]))

    return Tasks(len(places), make)


def classes_of(places: list[int], *sources: Source) -> list[tuple[int, ...]]:
    """Return the classes that have images of each task in any of the sources."""
    labels = [torch.cat([each.labels[_rows(each, at)] for each in sources]) for at in places]
    return [tuple(each.unique().tolist()) for each in labels]


def _rows(source: Source, task: int) -> Tensor:
    assert source.tasks is not None
    return (source.tasks == task).nonzero().flatten()
