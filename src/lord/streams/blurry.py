"""Streams without clear task borders: Si-Blurry (Moon et al. 2023, arXiv:2308.09303)."""

from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor

from lord.config import UserError
from lord.streams.source import Source
from lord.streams.tasks import Stream, Task, Tasks


@dataclass(frozen=True)
class Blurry:
    """A stream in which some classes appear in one task, and others in all.

    Attributes:
        rows: the rows of each task, ascending.
        order: the classes in the order in which they appear.
        main: the classes whose main task each task is; at least one.
    """

    rows: list[Tensor]
    order: list[int]
    main: list[tuple[int, ...]]


def blurry(
    labels: Tensor, classes: int, tasks: int, disjoint: float, blurred: float, generator: Generator
) -> Blurry:
    """Cut images into tasks at random borders, and move some images of some classes elsewhere.

    Each class has a main task. The number of classes of a task is random, and at least one. A
    share of the classes is disjoint: all of their images are in the main task. The other classes
    are blurry: a share of their images goes to random other tasks.

    Args:
        labels: N int64, from 0 to ``classes`` - 1, in the order of their main tasks.
        classes: number of classes.
        tasks: number of tasks, at most ``classes``.
        disjoint: share of the classes that are disjoint.
        blurred: share of a blurry class's images that are not in its main task.
        generator: on the CPU.
    """
    cuts = torch.randperm(classes - 1, generator=generator)[: tasks - 1].sort().values + 1
    main_task = torch.bucketize(torch.arange(classes), cuts, right=True)
    mixed = torch.randperm(classes, generator=generator)[round(disjoint * classes) :]
    task_of = main_task.to(labels.device)[labels]
    for label in mixed.sort().values.tolist() if tasks > 1 else ():
        rows = (labels == label).nonzero().flatten()
        rows = rows[torch.randperm(len(rows), generator=generator)]
        rows = rows[: round(blurred * len(rows))]
        others = torch.randint(1, tasks, (len(rows),), generator=generator)
        task_of[rows] = ((main_task[label] + others) % tasks).to(labels.device)
    places = [(task_of == task).nonzero().flatten() for task in range(tasks)]
    first = {
        c: min(t for t, p in enumerate(places) if (labels[p] == c).any()) for c in range(classes)
    }
    main = [tuple((main_task == task).nonzero().flatten().tolist()) for task in range(tasks)]
    return Blurry(places, sorted(range(classes), key=lambda label: first[label]), main)


def blurry_stream(
    train: Source,
    test: Source,
    names: tuple[str, ...],
    tasks: int,
    disjoint: float,
    blurred: float,
    seed: int,
) -> Stream:
    """Return a blurry stream. After a task, the classes are scored whose main task it is.

    Args:
        train, test: the images to learn and to score.
        names: name of each class.
        tasks, disjoint, blurred: as for ``blurry``.
        seed: decides borders, disjoint classes and the images that are moved.

    Raises:
        UserError: if a task has no image.
    """
    draws = Generator().manual_seed(seed)
    mixed = blurry(train.labels, len(names), tasks, disjoint, blurred, draws)
    if not all(len(rows) for rows in mixed.rows):
        allowed = "few enough tasks for each to have an image"
        raise UserError(field="tasks", given=tasks, allowed=allowed)
    number = torch.tensor(mixed.order).argsort().to(train.labels.device)  # by first appearance
    train, test = (replace(part, labels=number[part.labels]) for part in (train, test))

    def learned(place: int) -> Task:
        rows = mixed.rows[place]
        return train.task(place, tuple(train.labels[rows].unique().tolist()), rows)

    def scored(place: int) -> Task:
        main = number[list(mixed.main[place])].sort().values
        chosen = torch.isin(test.labels, main).nonzero().flatten()
        return test.task(place, tuple(main.tolist()), chosen)

    ordered = tuple(names[label] for label in mixed.order)
    return Stream(Tasks(tasks, learned), Tasks(tasks, scored), ordered)
