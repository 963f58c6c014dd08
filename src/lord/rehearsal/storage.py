"""Unlimited storage: every image of every task, once."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Generator, Tensor

from lord.rehearsal.buffer import Buffer


class Storage(Buffer):
    """Hold every row of every task, once.

    A row that is offered again, in a later epoch, is not stored again.

    >>> storage = Storage(Generator().manual_seed(0))
    >>> storage.begin(5)
    >>> for _ in range(2):
    ...     storage.store(torch.tensor([0, 3]), labels=torch.tensor([7, 8]))
    >>> storage.held["labels"].tolist()
    [7, 8]

    Args:
        generator: on the CPU; decides which rows are drawn.

    Attributes:
        stored: for each row of the present task, whether it is stored.
    """

    def __init__(self, generator: Generator) -> None:
        super().__init__(0, generator)
        self.stored = torch.zeros(0, dtype=torch.bool)

    def begin(self, count: int) -> None:
        """Make room for a task of ``count`` rows."""
        self.stored = torch.zeros(count, dtype=torch.bool)
        self.size = self.offered + count
        self.columns = {name: self._sized(column) for name, column in self.columns.items()}

    def store(self, places: Tensor, **rows: Tensor) -> None:
        """Store rows of the task that are not stored yet.

        Args:
            places: N int64, the rows' places in the task.
            rows: values by column name, with N rows along the first dimension.
        """
        new = {place: row for row, place in enumerate(places.tolist()) if not self.stored[place]}
        self.stored[list(new)] = True
        slots = range(self.offered, self.offered + len(new))
        self._place(dict(zip(slots, new.values(), strict=True)), rows)
        self.offered += len(new)
        self.count = self.offered

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what ``state_dict`` returned. The tensors are copied."""
        super().load_state_dict(state)
        self.stored = state["stored"].cpu().clone()
        self.size = max((len(column) for column in self.columns.values()), default=self.size)

    def state_dict(self) -> dict[str, Any]:
        """Return the rows, and which rows of the task are stored."""
        return super().state_dict() | {"stored": self.stored}

    def _sized(self, column: Tensor) -> Tensor:
        """Return a column with ``size`` rows, and the values of the rows held."""
        longer = column.new_zeros((self.size, *column.shape[1:]))
        longer[: self.offered] = column[: self.offered]
        return longer
