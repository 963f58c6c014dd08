"""Tasks of whole classes, one after another (class-incremental)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Generator, Tensor

from lord.config import Settings, UserError
from lord.config.rules import Count, Share
from lord.data import ImageData


class StreamConfig(Settings, frozen=True):
    """How the classes are cut into tasks."""

    tasks: Count = 5
    """Number of tasks; must divide the number of classes."""
    order: Literal["natural", "seeded"] = "natural"
    """Order of the classes: as they are numbered, or shuffled by the run's seed."""
    split: tuple[tuple[int, ...], ...] | None = None
    """Classes of each task, spelt out, instead of 'tasks' and 'order'."""
    subset: Share = 1.0
    """Share of each class's training images that is used, the first ones."""


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

    Labels are renumbered in the order classes appear, so task t's classes follow those of t - 1.

    Attributes:
        train: the tasks.
        test: for each task, its test images and labels.
        class_names: name of each label.
    """

    train: tuple[Task, ...]
    test: tuple[Task, ...]
    class_names: tuple[str, ...]

    def joined(self) -> "Stream":
        """The same with all training data in one task: what joint training sees."""
        whole = Task(
            0,
            tuple(range(len(self.class_names))),
            torch.cat([task.images for task in self.train]),
            torch.cat([task.labels for task in self.train]),
        )
        return Stream((whole,), self.test, self.class_names)

    def to(self, device: torch.device) -> "Stream":
        train = tuple(task.to(device) for task in self.train)
        return Stream(train, tuple(task.to(device) for task in self.test), self.class_names)


def by_class(images: Tensor, labels: Tensor, groups: Sequence[tuple[int, ...]]) -> tuple[Task, ...]:
    """Cut a data set into tasks of whole classes, labels renumbered in that order."""
    order = [label for group in groups for label in group]
    number = torch.full((int(labels.max()) + 1,), -1)
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
        raise UserError(f"split: classes are 0 to {len(data.classes) - 1}, got {max(order)}")
    images, labels = data.train_images, data.train_labels
    if config.subset < 1:
        own = torch.cat([_first(labels, label, config.subset) for label in order]).sort().values
        images, labels = images[own], labels[own]
    return Stream(
        by_class(images, labels, groups),
        by_class(data.test_images, data.test_labels, groups),
        tuple(data.classes[label] for label in order),
    )


def _groups(classes: int, config: StreamConfig, seed: int) -> list[tuple[int, ...]]:
    if config.tasks > classes:
        raise UserError(f"tasks: at most {classes}, the number of classes, got {config.tasks}")
    if classes % config.tasks:
        raise UserError(
            f"tasks: must divide the {classes} classes, got {config.tasks}; or give a split"
        )
    order = list(range(classes))
    if config.order == "seeded":
        order = torch.randperm(classes, generator=Generator().manual_seed(seed)).tolist()
    each = classes // config.tasks
    return [tuple(order[i : i + each]) for i in range(0, classes, each)]


def _first(labels: Tensor, label: int, share: float) -> Tensor:
    own = (labels == label).nonzero().flatten()
    return own[: max(1, round(len(own) * share))]
