"""The replay buffer: a reservoir of rows (Vitter 1985), vectorised over a batch."""

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import torch
from torch import Generator, Tensor

from lord.config import UserError


class Buffer:
    """Hold up to ``size`` rows, chosen uniformly among all rows offered so far.

    A row has one value in each column, such as an image, a label or logits. The first offer makes
    the columns, with the device and type of the values offered.

    >>> buffer = Buffer(3, Generator().manual_seed(0))
    >>> buffer.offer(images=torch.zeros(5, 1, 4, 4), labels=torch.arange(5))
    >>> len(buffer), buffer.held["images"].shape
    (3, torch.Size([3, 1, 4, 4]))
    >>> len(buffer.draw(2).labels)
    2

    Args:
        size: maximum number of rows.
        generator: on the CPU; decides which rows are kept and which are drawn.

    Attributes:
        offered: number of rows offered so far. Rows that were dropped do not count.
        count: number of rows held now.
        columns: values by column name, with ``size`` rows. Only the first ``count`` are in use.
    """

    def __init__(self, size: int, generator: Generator) -> None:
        self.size = size
        self.generator = generator
        self.offered = self.count = 0
        self.columns: dict[str, Tensor] = {}

    def __len__(self) -> int:
        return self.count

    @property
    def held(self) -> dict[str, Tensor]:
        """The rows held now, by column name. The tensors are views."""
        return {name: column[: len(self)] for name, column in self.columns.items()}

    @property
    def nbytes(self) -> int:
        """Size of the rows held now, in bytes."""
        return sum(column.nbytes for column in self.held.values())

    def offer(self, **rows: Tensor) -> None:
        """Offer a batch of rows, as if they were offered one by one.

        Args:
            rows: values by column name, with rows along the first dimension.

        Raises:
            UserError: if columns differ in their number of rows.
        """
        count = _count(rows)
        order = self.offered + torch.arange(count)
        drawn = torch.rand(count, generator=self.generator, dtype=torch.float64) * (order + 1)
        slots = torch.where(order < self.size, order, drawn.long()).tolist()
        self.offered += count
        kept = {}
        for row, slot in enumerate(slots):
            if slot < self.size:
                free = min(slot, self.count)  # rows that were dropped left slots free
                self.count = max(self.count, free + 1)
                kept[free] = row
        self._place(kept, rows)

    def _place(self, kept: Mapping[int, int], rows: Mapping[str, Tensor]) -> None:
        """Write rows into the buffer. ``kept`` maps a slot to the number of its new row."""
        for name, values in rows.items():
            if name not in self.columns:
                self.columns[name] = values.new_zeros((self.size, *values.shape[1:]))
            if kept:
                column = self.columns[name]
                places = _on(column.device, list(kept))
                column[places] = values[_on(values.device, list(kept.values()))]

    def fill(self, **rows: Tensor) -> None:
        """Replace the content by these rows, at most ``size``.

        Args:
            rows: as for ``offer``.
        """
        self.offered = self.count = len(next(iter(rows.values())))
        assert self.offered <= self.size
        for name, values in rows.items():
            column = values.new_zeros((self.size, *values.shape[1:]))
            column[: self.offered] = values
            self.columns[name] = column

    def keep(self, rows: Tensor) -> None:
        """Drop all rows but some, as if the others were never offered. New rows take their slots.

        Nothing of the others stays in memory.

        Args:
            rows: mask of the rows to keep, one value for each row held now.
        """
        held, dropped = self.held, int((~rows).sum())
        offered = self.offered - dropped
        for name, values in held.items():
            column = torch.zeros_like(self.columns[name])
            column[: self.count - dropped] = values[rows.to(values.device)]
            self.columns[name] = column
        self.offered, self.count = offered, self.count - dropped

    def relabel(self, label: int, into: int) -> None:
        """Give the rows of a class the label of another class."""
        if self.columns:
            labels = self.columns["labels"]
            self.columns["labels"] = torch.where(labels == label, into, labels)

    def draw(self, count: int) -> SimpleNamespace:
        """Draw distinct rows at random.

        Args:
            count: rows to draw; fewer are drawn if the buffer holds fewer.

        Returns:
            An attribute for each column, and ``rows``: the slots of the rows drawn.
        """
        rows = self._distinct(count)
        if self.columns:
            rows = _on(next(iter(self.columns.values())).device, rows)
        drawn = {name: column[rows] for name, column in self.columns.items()}
        return SimpleNamespace(rows=rows, **drawn)

    def _distinct(self, count: int) -> Tensor:
        held = len(self)
        if held < count**2:
            return torch.randperm(held, generator=self.generator)[:count]
        # In a large buffer most draws are distinct at once. Their cost does not depend on its size.
        while True:
            rows = torch.randint(held, (count,), generator=self.generator)
            if len(rows.unique()) == count:
                return rows

    def state_dict(self) -> dict[str, Any]:
        """Return the rows and the number of rows offered. The generator is not included."""
        return {"offered": self.offered, "count": self.count, "columns": dict(self.columns)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what ``state_dict`` returned. The tensors are copied."""
        self.offered = state["offered"]
        self.count = state.get("count", min(self.offered, self.size))
        self.columns = {name: column.clone() for name, column in state["columns"].items()}


def _count(rows: Mapping[str, Tensor]) -> int:
    """Return the number of rows, which must be the same in all columns."""
    counts = {name: len(values) for name, values in rows.items()}
    if len(set(counts.values())) != 1:
        raise UserError(field="rows", given=counts, allowed="as many values in each column")
    return next(iter(counts.values()))


def _on(device: torch.device, rows: Sequence[int] | Tensor) -> Tensor:
    """Return row numbers on a device. Copying from pinned memory does not wait for a GPU."""
    rows = torch.as_tensor(rows)
    if device.type == "cpu":
        return rows
    return (rows.pin_memory() if device.type == "cuda" else rows).to(device, non_blocking=True)
