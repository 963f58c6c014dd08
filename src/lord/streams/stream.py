"""A data set as a sequence of tasks: by class, by domain, or without real borders."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, overload

import torch
from torch import Generator, Tensor

from lord.config import Config, UserError
from lord.config.types import Count, ProperFraction, Share
from lord.data import ImageData
from lord.streams.domains import drifting, permutation, permuted, rotated


class StreamConfig(Config, frozen=True):
    """How the images are cut into tasks."""

    scenario: Literal["classes", "permuted", "rotated", "drifting"] = "classes"
    """What changes: tasks bring new classes; or have the same classes with pixels permuted or
    images rotated; or are mere segments of a stream whose classes gradually change and recur."""
    tasks: Count = 5
    """Number of tasks; must divide the number of classes where tasks bring new ones."""
    order: Literal["natural", "seeded"] = "natural"
    """Order of the classes: as they are numbered, or shuffled by the run's seed."""
    split: tuple[tuple[int, ...], ...] | None = None
    """Classes of each task, spelt out, instead of 'tasks' and 'order'."""
    subset: Share = 1.0
    """Share of each class's training images that is used, the first ones after 'skip'."""
    skip: ProperFraction = 0.0
    """Share of each class's training images before those."""
    validation: ProperFraction = 0.0
    """Share of each class's training images, the last ones, that is scored instead of the test
    images: for tuning."""
    stop_after: Count | None = None
    """Tasks that are learnt and scored, the first ones of the stream; all by default."""

    def __post_init__(self) -> None:
        if self.skip + self.subset + self.validation > 1 + 1e-9:
            given = f"{self.skip} + {self.subset} + {self.validation}"
            raise UserError(f"skip + subset + validation: at most 1 in all, got {given}")
        if self.split is not None and self.scenario != "classes":
            raise UserError(f"split: is for tasks of new classes, not for {self.scenario}")


@dataclass(frozen=True)
class Task:
    """One task of a stream.

    Attributes:
        index: its place, from 0.
        classes: the labels it brings, ascending.
        images: N x C x H x W uint8 training images, on the device, before augmentation.
        labels: N, int64.
    """

    index: int
    classes: tuple[int, ...]
    images: Tensor
    labels: Tensor

    def to(self, device: torch.device) -> "Task":
        """The same on another device; images cross as bytes, once, channels-last."""
        images = self.images.to(device, memory_format=torch.channels_last)
        return Task(self.index, self.classes, images, self.labels.to(device))


class Tasks(Sequence[Task]):
    """Tasks each made when it is asked for, so that the images of one are in memory, not of all.

    Args:
        number: of them.
        make: the task of a place from 0.
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
        return Tasks(len(places), lambda own: self.make(places[own]))


@dataclass(frozen=True)
class Stream:
    """Tasks to train on and test splits to score, one of each a task.

    Labels are renumbered in the order classes appear: new classes follow those of tasks before.

    Attributes:
        train: the tasks; those of ``make_stream`` are made each time they are asked for.
        test: for each task, its test images and labels.
        class_names: name of each label.
    """

    train: Sequence[Task]
    test: Sequence[Task]
    class_names: tuple[str, ...]

    def first(self, number: int | None) -> "Stream":
        """Only its first tasks; names of all classes."""
        return Stream(self.train[:number], self.test[:number], self.class_names)

    def joined(self) -> "Stream":
        """The same with all training data in one task: what joint training sees."""
        tasks = tuple(self.train)
        whole = Task(
            0,
            tuple(sorted({label for task in tasks for label in task.classes})),
            torch.cat([task.images for task in tasks]),
            torch.cat([task.labels for task in tasks]),
        )
        return Stream((whole,), self.test, self.class_names)

    def to(self, device: torch.device) -> "Stream":
        """The same with tasks on another device, each taken there when it is asked for."""
        train = Tasks(len(self.train), lambda place: self.train[place].to(device))
        test = Tasks(len(self.test), lambda place: self.test[place].to(device))
        return Stream(train, test, self.class_names)


def batches(count: int, size: int) -> list[range]:
    """Places of each batch of an epoch. A last batch of one image is left out: batch-norm cannot
    take it.

    >>> [len(rows) for rows in batches(10, 4)], [len(rows) for rows in batches(9, 4)]
    ([4, 4, 2], [4, 4])
    """
    cut = [range(start, min(start + size, count)) for start in range(0, count, size)]
    return [rows for rows in cut if len(rows) > 1 or len(cut) == 1]


@dataclass(frozen=True)
class Source:
    """Images that tasks are cut from.

    Attributes:
        images: N x C x H x W uint8, maybe mapped from a file.
        rows: of them, those that count.
        labels: of those rows, renumbered.
    """

    images: Tensor
    rows: Tensor
    labels: Tensor

    def task(self, index: int, classes: tuple[int, ...], own: Tensor) -> Task:
        """A task of some of the rows that count."""
        return Task(index, classes, self.images[self.rows[own]], self.labels[own])


def by_class(source: Source, groups: Sequence[int]) -> Tasks:
    """Cut into tasks of so many whole classes each, in the order of their labels."""
    ends = [sum(groups[: place + 1]) for place in range(len(groups))]
    classes = [tuple(range(end - own, end)) for end, own in zip(ends, groups, strict=True)]

    def make(place: int) -> Task:
        own = torch.isin(source.labels, torch.tensor(classes[place], device=source.labels.device))
        return source.task(place, classes[place], own.nonzero().flatten())

    return Tasks(len(groups), make)


def make_stream(data: ImageData, config: StreamConfig, seed: int) -> Stream:
    """Cut ``data`` as ``config`` says.

    Raises:
        UserError: names the number of classes that does not fit.
    """
    groups = config.split or _groups(len(data.classes), config, seed)
    order = [label for group in groups for label in group]
    if not order or sorted(set(order)) != sorted(order) or not all(groups):
        raise UserError("split: each task needs at least one class, and a class only one task")
    if min(order) < 0 or max(order) >= len(data.classes):
        wrong = min(order) if min(order) < 0 else max(order)
        raise UserError(f"split: classes are 0 to {len(data.classes) - 1}, got {wrong}")
    train = _part(data, order, config.skip, config.subset)
    test = _renumbered(data.test_images, data.test_labels, order)
    if config.validation:
        test = _part(data, order, 1 - config.validation, config.validation)
    names = tuple(data.classes[label] for label in order)
    if config.scenario == "classes":
        sizes = [len(group) for group in groups]
        return Stream(by_class(train, sizes), by_class(test, sizes), names)
    if config.scenario == "drifting":
        return Stream(*_segments(train, test, len(order), config.tasks, seed), names)
    views = _views(config, data.shape, seed)
    learnt, scored = (by_class(part, [len(order)]) for part in (train, test))
    return Stream(_domains(learnt, views), _domains(scored, views), names)


def _views(
    config: StreamConfig, shape: Sequence[int], seed: int
) -> list[Callable[[Tensor], Tensor]]:
    """What each task does to the images."""
    generator = Generator().manual_seed(seed)
    if config.scenario == "permuted":
        orders = [permutation(shape, generator) for _ in range(config.tasks)]
        return [partial(permuted, order=order) for order in orders]
    turns = [180 * torch.rand((), generator=generator).item() for _ in range(config.tasks)]
    return [partial(rotated, degrees=turn) for turn in turns]


def _domains(whole: Tasks, views: Sequence[Callable[[Tensor], Tensor]]) -> Tasks:
    """The same images seen in as many ways as there are tasks."""

    def make(place: int) -> Task:
        return replace(task := whole[0], index=place, images=views[place](task.images))

    return Tasks(len(views), make)


def _segments(
    train: Source, test: Source, classes: int, number: int, seed: int
) -> tuple[Tasks, Tasks]:
    """A stream cut where nothing ends; what is scored are the classes then present."""
    generator = Generator().manual_seed(seed)
    rows = drifting(train.labels, list(range(classes)), number, generator)
    if not all(len(own) for own in rows):
        raise UserError(f"tasks: too many segments for these classes, got {number}")
    present = [tuple(sorted(set(train.labels[own].tolist()))) for own in rows]

    def scored(place: int) -> Task:
        own = torch.isin(test.labels, torch.tensor(present[place])).nonzero().flatten()
        return test.task(place, present[place], own)

    learnt = Tasks(number, lambda place: train.task(place, present[place], rows[place]))
    return learnt, Tasks(number, scored)


def _renumbered(images: Tensor, labels: Tensor, order: list[int]) -> Source:
    """Those images whose class is in ``order``, labels its places there."""
    number = torch.full((max(int(labels.max()), *order) + 1,), -1)
    number[torch.tensor(order)] = torch.arange(len(order))
    numbers = number.to(labels.device)[labels]
    rows = (numbers >= 0).nonzero().flatten()
    return Source(images, rows, numbers[rows])


def _part(data: ImageData, order: list[int], start: float, share: float) -> Source:
    """``share`` of each class's training images, from ``start`` of them on."""
    whole = _renumbered(data.train_images, data.train_labels, order)
    if (start, share) == (0, 1):
        return whole
    places = []
    for number, label in enumerate(order):
        own = (whole.labels == number).nonzero().flatten()
        # Parts that meet share no image: where one ends is rounded as where the next begins.
        first, end = (round(len(own) * round(part, 9)) for part in (start, start + share))
        if first == end:
            raise UserError(
                f"class '{data.classes[label]}' has {len(own)} images: too few for the share of "
                f"{share:g} of them that --subset or --validation asks for"
            )
        places.append(own[first:end])
    chosen = torch.cat(places).sort().values
    return Source(whole.images, whole.rows[chosen], whole.labels[chosen])


def _groups(classes: int, config: StreamConfig, seed: int) -> list[tuple[int, ...]]:
    if config.scenario != "classes":
        return [(label,) for label in _order(classes, config, seed)]
    if config.tasks > classes:
        raise UserError(f"tasks: at most {classes}, the number of classes, got {config.tasks}")
    if classes % config.tasks:
        raise UserError(
            f"tasks: must divide the {classes} classes, got {config.tasks}; or give a split"
        )
    order = _order(classes, config, seed)
    each = classes // config.tasks
    return [tuple(order[i : i + each]) for i in range(0, classes, each)]


def _order(classes: int, config: StreamConfig, seed: int) -> list[int]:
    if config.order == "seeded":
        return torch.randperm(classes, generator=Generator().manual_seed(seed)).tolist()
    return list(range(classes))
