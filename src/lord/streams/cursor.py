"""Iterate over a task's rows: epochs of shuffled batches."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Generator, Tensor


def batch_count(count: int, size: int) -> int:
    """Return how many batches of ``size`` an epoch over ``count`` rows has.

    A last batch of one row is left out, because batch-norm needs more than one image. It counts if
    it is the only batch. ``size`` is at least two.

    >>> batch_count(10, 4), batch_count(9, 4), batch_count(1, 4)
    (3, 2, 1)
    """
    full, rest = divmod(count, size)
    return full + (rest > 1 or count == 1)


class Cursor:
    """Iterate over rows in epochs of shuffled batches. The position can be saved.

    The first batch of each epoch draws a permutation. Between two epochs the cursor holds no
    permutation, and ``place`` is 0.

    >>> cursor = Cursor(4, Generator().manual_seed(0))
    >>> [len(cursor.next_rows(6)) for _ in range(3)], cursor.epoch, cursor.place
    ([4, 2, 4], 1, 1)

    Args:
        batch: number of rows in a batch, at least two.
        generator: on the CPU; draws the order of the rows.

    Attributes:
        order: the rows of this epoch, N int64 on the CPU; None between epochs.
        place: number of this epoch's batches that are done.
        epoch: number of epochs that are done.
    """

    def __init__(self, batch: int, generator: Generator) -> None:
        self.batch, self.generator = batch, generator
        self.order: Tensor | None = None
        self.place = self.epoch = 0

    @property
    def epoch_ended(self) -> bool:
        """Whether the last batch taken was the last of its epoch."""
        return self.epoch > 0 and self.order is None

    def next_rows(self, count: int) -> Tensor:
        """Return the rows of the next batch, int64 on the CPU, and move past it.

        A batch of one row returns it twice, because batch-norm needs more than one image. The two
        are augmented differently.

        Args:
            count: number of rows of the task, at least one. It must not change within an epoch.
        """
        if self.order is None:
            self.order = torch.randperm(count, generator=self.generator)
        start = self.place * self.batch
        rows = self.order[start : start + self.batch]
        self.place += 1
        self._close_epoch()
        return rows.repeat(2) if len(rows) == 1 else rows

    def images_done(self, count: int) -> int:
        """Return how many of a task's images were learned. Each epoch counts.

        Args:
            count: rows of the task.
        """
        return self.epoch * self._each(count) + min(self.place * self.batch, count)

    def images_left(self, count: int, epochs: int) -> int:
        """Return how many images remain until ``epochs`` epochs are done.

        Args:
            count: rows of the task.
            epochs: number of all epochs.
        """
        return epochs * self._each(count) - self.images_done(count)

    def state_dict(self) -> dict[str, Tensor | int | None]:
        """Return the position. The generator is not included."""
        return {"order": self.order, "place": self.place, "epoch": self.epoch}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a saved position.

        Older checkpoints are read too: those of a learner have no ``epoch``, and an epoch that
        has just ended may still have its ``order``.
        """
        self.order, self.place = state["order"], state["place"]
        self.epoch = state.get("epoch", 0)
        self._close_epoch()

    def _close_epoch(self) -> None:
        if self.order is not None and self.place >= batch_count(len(self.order), self.batch):
            self.order, self.place, self.epoch = None, 0, self.epoch + 1

    def _each(self, count: int) -> int:
        """Images learned in one epoch over ``count`` rows."""
        return min(batch_count(count, self.batch) * self.batch, count)
