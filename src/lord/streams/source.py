"""The images that tasks are cut from: chosen rows of a data set, with labels as they appear."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from lord.config import UserError
from lord.data import ImageData
from lord.streams.tasks import Task


@dataclass(frozen=True)
class Source:
    """Images that tasks are cut from.

    Attributes:
        images: N x C x H x W uint8, possibly mapped from a file.
        rows: M int64, the images to use.
        labels: M int64, their labels in the numbering of the stream.
        tasks: M int64, the tasks that they come with; None if they come without.
    """

    images: Tensor
    rows: Tensor
    labels: Tensor
    tasks: Tensor | None = None

    def part(self, chosen: Tensor) -> "Source":
        """Return some of the M images."""
        tasks = None if self.tasks is None else self.tasks[chosen]
        return Source(self.images, self.rows[chosen], self.labels[chosen], tasks)

    def strata(self, classes: int) -> Tensor:
        """Return the class of each image; one number for each task and class if tasks are given."""
        return self.labels if self.tasks is None else self.tasks * classes + self.labels

    def task(self, index: int, classes: tuple[int, ...], chosen: Tensor) -> Task:
        """Copy some of the M images into a task."""
        return Task(index, classes, self.images[self.rows[chosen]], self.labels[chosen])


def shuffled(number: int, seed: int) -> list[int]:
    """Return 0, 1, ... ``number`` - 1 in an order that depends on the seed only."""
    return torch.randperm(number, generator=Generator().manual_seed(seed)).tolist()


def check_present(train: Source, test: Source, names: Sequence[str]) -> None:
    """Check that each class has images to train on and to score.

    Raises:
        UserError: if one has none.
    """
    for split, source in (("training", train), ("test", test)):
        counts = source.labels.bincount(minlength=len(names))
        if not counts.all():
            raise UserError(f"class '{names[int(counts.argmin())]}' has no {split} images")


def renumbered(
    images: Tensor, labels: Tensor, order: list[int], tasks: Tensor | None = None
) -> Source:
    """Keep the images of the classes in ``order``. A class's new label is its position in it."""
    number = torch.full((max(int(labels.max()), *order) + 1,), -1)
    number[torch.tensor(order)] = torch.arange(len(order))
    numbers = number.to(labels.device)[labels]
    rows = (numbers >= 0).nonzero().flatten()
    return Source(images, rows, numbers[rows], None if tasks is None else tasks[rows])


def share_of(data: ImageData, order: list[int], field: str, start: float, share: float) -> Source:
    """Keep ``share`` of each class's training images, beginning at the share ``start``.

    Args:
        field: the setting to name in an error.
    """
    whole = renumbered(data.train_images, data.train_labels, order, data.train_tasks)
    if (start, share) == (0, 1):
        return whole
    places = []
    strata = whole.strata(len(order))
    for stratum in range(len(order)) if whole.tasks is None else strata.unique().tolist():
        rows, label = (strata == stratum).nonzero().flatten(), order[stratum % len(order)]
        # Adjacent parts share no image: the end of one is rounded like the start of the next.
        first, end = (round(len(rows) * round(part, 9)) for part in (start, start + share))
        if first == end:
            raise UserError(
                f"gives class '{data.classes[label]}' none of its {len(rows)} images",
                field=field,
                given=share,
                hint="set a larger share",
            )
        places.append(rows[first:end])
    chosen = torch.cat(places).sort().values
    return whole.part(chosen)
