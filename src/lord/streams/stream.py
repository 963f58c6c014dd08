"""A data set as a sequence of tasks: by class, by domain, or without real borders."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Generator, Tensor

from lord.config import Settings, UserError
from lord.config.rules import Count, Part, Share
from lord.data import ImageData
from lord.streams.domains import drifting, permuted, rotated


class StreamConfig(Settings, frozen=True):
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
    skip: Part = 0.0
    """Share of each class's training images before those."""
    validation: Part = 0.0
    """Share of each class's training images, the last ones, that is scored instead of the test
    images: for tuning."""
    stop_after: Count | None = None
    """Tasks that are learnt and scored, the first ones of the stream; all by default."""

    def __post_init__(self) -> None:
        if self.skip + self.subset + self.validation > 1 + 1e-9:
            given = f"{self.skip} + {self.subset} + {self.validation}"
            raise UserError(f"skip + subset + validation: at most 1 in all, got {given}")


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


@dataclass(frozen=True)
class Stream:
    """Tasks to train on and test splits to score, one of each a task.

    Labels are renumbered in the order classes appear: new classes follow those of tasks before.

    Attributes:
        train: the tasks.
        test: for each task, its test images and labels.
        class_names: name of each label.
    """

    train: tuple[Task, ...]
    test: tuple[Task, ...]
    class_names: tuple[str, ...]

    def first(self, number: int | None) -> "Stream":
        """Only its first tasks; names of all classes."""
        return Stream(self.train[:number], self.test[:number], self.class_names)

    def joined(self) -> "Stream":
        """The same with all training data in one task: what joint training sees."""
        whole = Task(
            0,
            tuple(sorted({label for task in self.train for label in task.classes})),
            torch.cat([task.images for task in self.train]),
            torch.cat([task.labels for task in self.train]),
        )
        return Stream((whole,), self.test, self.class_names)

    def to(self, device: torch.device) -> "Stream":
        train = tuple(task.to(device) for task in self.train)
        return Stream(train, tuple(task.to(device) for task in self.test), self.class_names)


def batches(count: int, size: int) -> list[range]:
    """Places of each batch of an epoch. A last batch of one image is left out: batch-norm cannot
    take it.

    >>> [len(rows) for rows in batches(10, 4)], [len(rows) for rows in batches(9, 4)]
    ([4, 4, 2], [4, 4])
    """
    cut = [range(start, min(start + size, count)) for start in range(0, count, size)]
    return [rows for rows in cut if len(rows) > 1 or len(cut) == 1]


def by_class(images: Tensor, labels: Tensor, groups: Sequence[tuple[int, ...]]) -> tuple[Task, ...]:
    """Cut a data set into tasks of whole classes, labels renumbered in that order."""
    order = [label for group in groups for label in group]
    number = torch.full((max(int(labels.max()), *order) + 1,), -1)
    number[torch.tensor(order)] = torch.arange(len(order))
    renumbered = number.to(labels.device)[labels]
    tasks, start = [], 0
    for index, group in enumerate(groups):
        own = (renumbered >= start) & (renumbered < start + len(group))
        classes = tuple(range(start, start + len(group)))
        tasks.append(Task(index, classes, images[own], renumbered[own]))
        start += len(group)
    return tuple(tasks)


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
    test = data.test_images, data.test_labels
    if config.validation:
        test = _part(data, order, 1 - config.validation, config.validation)
    names = tuple(data.classes[label] for label in order)
    if config.scenario == "classes":
        return Stream(by_class(*train, groups), by_class(*test, groups), names)
    whole = [tuple(order)]
    (one,), (two,) = by_class(*train, whole), by_class(*test, whole)
    if config.scenario == "drifting":
        return Stream(*_segments(one, two, config.tasks, seed), names)
    return Stream(_domains(one, config, seed), _domains(two, config, seed), names)


def _domains(task: Task, config: StreamConfig, seed: int) -> tuple[Task, ...]:
    """The same images seen in as many ways as there are tasks."""
    generator, ways = Generator().manual_seed(seed), []
    for index in range(config.tasks):
        if config.scenario == "permuted":
            images = permuted(task.images, generator)
        else:
            images = rotated(task.images, 180 * torch.rand((), generator=generator).item())
        ways.append(Task(index, task.classes, images, task.labels))
    return tuple(ways)


def _segments(
    train: Task, test: Task, number: int, seed: int
) -> tuple[tuple[Task, ...], tuple[Task, ...]]:
    """A stream cut where nothing ends; what is scored are the classes then present."""
    generator = Generator().manual_seed(seed)
    both: tuple[list[Task], list[Task]] = ([], [])
    for index, rows in enumerate(drifting(train.labels, list(train.classes), number, generator)):
        if not len(rows):
            raise UserError(f"tasks: too many segments for these classes, got {number}")
        classes = tuple(sorted(set(train.labels[rows].tolist())))
        scored = torch.isin(test.labels, torch.tensor(classes))
        both[0].append(Task(index, classes, train.images[rows], train.labels[rows]))
        both[1].append(Task(index, classes, test.images[scored], test.labels[scored]))
    return tuple(both[0]), tuple(both[1])


def _part(data: ImageData, order: list[int], start: float, share: float) -> tuple[Tensor, Tensor]:
    """``share`` of each class's training images, from ``start`` of them on."""
    images, labels = data.train_images, data.train_labels
    if (start, share) == (0, 1):
        return images, labels
    rows = []
    for label in order:
        own = (labels == label).nonzero().flatten()
        # Parts that meet share no image: where one ends is rounded as where the next begins.
        first, end = (round(len(own) * round(part, 9)) for part in (start, start + share))
        if first == end:
            raise UserError(
                f"class '{data.classes[label]}' has {len(own)} images: too few for the share of "
                f"{share:g} of them that --subset or --validation asks for"
            )
        rows.append(own[first:end])
    chosen = torch.cat(rows).sort().values
    return images[chosen], labels[chosen]


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
