"""The replay buffer: a reservoir of rows (Vitter 1985), decided and drawn without Python loops."""

from types import SimpleNamespace
from typing import Any

import torch
from torch import Generator, Tensor

from lord.config import UserError


class Buffer:
    """All rows offered so far are equally likely to be among the ``size`` kept.

    A row has one value in each column; columns (images, labels, logits ...) are made at the first
    offer, on the device and with the type of what is offered.

    Args:
        size: rows kept at most.
        generator: on the CPU; decides which rows stay and which are drawn.
    """

    def __init__(self, size: int, generator: Generator) -> None:
        self.size = size
        self.generator = generator
        self.offered = 0
        self.columns: dict[str, Tensor] = {}

    def __len__(self) -> int:
        return min(self.offered, self.size)

    @property
    def held(self) -> dict[str, Tensor]:
        """The rows now held, by column: views of them, in the order of their places."""
        return {name: column[: len(self)] for name, column in self.columns.items()}

    @property
    def nbytes(self) -> int:
        """Bytes of the rows now held."""
        return sum(column.nbytes for column in self.held.values())

    def offer(self, **rows: Tensor) -> None:
        """Offer a batch of rows, in order; the same as offering them one by one.

        Args:
            rows: column name -> one value a row, along the first dimension.
        """
        count = _count(rows)
        order = self.offered + torch.arange(count)
        drawn = torch.rand(count, generator=self.generator, dtype=torch.float64) * (order + 1)
        slots = torch.where(order < self.size, order, drawn.long()).tolist()
        self.offered += count
        self._place({slot: row for row, slot in enumerate(slots) if slot < self.size}, rows)

    def _place(self, kept: dict[int, int], rows: dict[str, Tensor]) -> None:
        """Put rows, by their numbers, into slots; of two for one slot only the later is named."""
        for name, values in rows.items():
            if name not in self.columns:
                self.columns[name] = values.new_zeros((self.size, *values.shape[1:]))
            if kept:
                column = self.columns[name]
                places = _on(column.device, list(kept))
                column[places] = values[_on(values.device, list(kept.values()))]

    def fill(self, **rows: Tensor) -> None:
        """Hold exactly these rows, at most ``size``, and nothing of before.

        Args:
            rows: as for ``offer``.
        """
        self.offered = len(next(iter(rows.values())))
        assert self.offered <= self.size
        for name, values in rows.items():
            column = values.new_zeros((self.size, *values.shape[1:]))
            column[: self.offered] = values
            self.columns[name] = column

    def draw(self, count: int) -> SimpleNamespace:
        """``count`` distinct rows at random, fewer while the buffer holds fewer.

        Their places are in ``rows``.
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
        while True:  # most draws are distinct at once, and their cost does not grow with the buffer
            rows = torch.randint(held, (count,), generator=self.generator)
            if len(rows.unique()) == count:
                return rows

    def state_dict(self) -> dict[str, Any]:
        return {"offered": self.offered, "columns": dict(self.columns)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.offered = state["offered"]
        self.columns = {name: column.clone() for name, column in state["columns"].items()}


def _count(rows: dict[str, Tensor]) -> int:
    """How many rows, the same in each column."""
    counts = {name: len(values) for name, values in rows.items()}
    if len(set(counts.values())) != 1:
        raise UserError(f"buffer: expected as many values in each column, got {counts}")
    return next(iter(counts.values()))


def _on(device: torch.device, rows: Any) -> Tensor:
    # From ordinary host memory the copy would wait for a GPU; from pinned memory it does not.
    rows = torch.as_tensor(rows)
    if device.type == "cpu":
        return rows
    return (rows.pin_memory() if device.type == "cuda" else rows).to(device, non_blocking=True)
