"""Buffers that choose which row a new row replaces."""

from collections import Counter
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import torch
from torch import Generator, Tensor

from lord.rehearsal.buffer import Buffer


class Balanced(Buffer):
    """Hold equally many rows of each class (Chrysakis and Moens 2020, ICML).

    In a full buffer, a new row of a class that was never the largest replaces a row of the largest
    class. Any other new row replaces a row of the same class, with the probability of reservoir
    sampling within that class. So rare classes keep all their rows.

    If the buffer holds an offered image already, only its label and logits are updated. So
    repeated images replace no others.

    Offers read the columns ``labels`` and ``images`` on the host. On a GPU, an offer waits for
    the device.

    >>> buffer = Balanced(4, Generator().manual_seed(0))
    >>> buffer.offer(labels=torch.tensor([0] * 9 + [1] * 2))
    >>> buffer.held["labels"].bincount().tolist()
    [2, 2]

    Args:
        size: maximum number of rows.
        generator: on the CPU; decides which rows are kept and which are drawn.

    Attributes:
        seen: rows offered, by class; images held already do not count.
        largest: classes that are, or were, the largest in a full buffer.
        contents: a hash of each image held; None for rows without images.
    """

    def __init__(self, size: int, generator: Generator) -> None:
        super().__init__(size, generator)
        self.seen: Counter[int] = Counter()
        self.largest: set[int] = set()
        self.contents: list[bytes | None] = []

    def offer(self, **rows: Tensor) -> None:
        """Offer a batch of rows, one by one.

        Args:
            rows: values by column name, with rows along the first dimension. ``labels`` is
                required.
        """
        held = self.held["labels"].tolist() if self.columns else []
        slots = {content: slot for slot, content in enumerate(self.contents)}
        placed: dict[int, int] = {}
        labels: list[int] = rows["labels"].tolist()
        for row, (label, content) in enumerate(zip(labels, _contents(rows), strict=True)):
            slot = slots.get(content) if content else None
            if slot is None:
                self.offered += 1
                self.seen[label] += 1
                slot = self._slot(held, label)
            if slot is None:
                continue
            for replaced in self.contents[slot : slot + 1]:  # none if the slot is free
                slots.pop(replaced, None)
            held[slot : slot + 1] = [label]
            self.contents[slot : slot + 1] = [content]
            placed[slot] = row
            if content:
                slots[content] = slot
        self.count = len(held)
        self._place(placed, rows)

    def keep(self, rows: Tensor) -> None:
        """Drop all rows but some. Rows of each class offered so far still count."""
        super().keep(rows)
        self.contents = [c for c, kept in zip(self.contents, rows.tolist(), strict=True) if kept]

    def relabel(self, label: int, into: int) -> None:
        """Give the rows of a class the label of another class."""
        super().relabel(label, into)
        self.seen[into] += self.seen.pop(label, 0)
        if label in self.largest:
            self.largest = (self.largest - {label}) | {into}

    def _slot(self, held: list[int], label: int) -> int | None:
        """Choose the slot of a new row of class ``label``; None if the row is not kept."""
        if len(held) < self.size:
            return len(held)
        sizes = Counter(held)
        most = max(sizes.values())
        self.largest |= {each for each, count in sizes.items() if count == most}
        accepted, place = torch.rand(2, generator=self.generator, dtype=torch.float64).tolist()
        if label not in self.largest:
            among = [slot for slot, each in enumerate(held) if sizes[each] == most]
        elif accepted * self.seen[label] < sizes[label]:
            among = [slot for slot, each in enumerate(held) if each == label]
        else:
            return None
        return among[int(place * len(among))]

    def state_dict(self) -> dict[str, Any]:
        """Return the rows, and all state that later offers depend on except the generator's."""
        history = {"seen": list(self.seen.items()), "largest": sorted(self.largest)}
        return super().state_dict() | history

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what ``state_dict`` returned. The tensors are copied."""
        super().load_state_dict(state)
        self.contents = _contents(self.held) if self.columns else []
        self.seen = Counter(dict(state["seen"]))
        self.largest = set(state["largest"])


def _contents(rows: Mapping[str, Tensor]) -> list[bytes | None]:
    """Return a hash of each image. Rows without images have None."""
    if "images" not in rows:
        return [None] * len(rows["labels"])
    images = rows["images"].cpu().contiguous().numpy()
    return [blake2b(image.data, digest_size=8).digest() for image in images]


class LossAware(Buffer):
    """Replace rows of large classes and of small loss first (Buzzega et al. 2020).

    A new row is accepted with the probability of reservoir sampling. The row that it replaces is
    drawn with probabilities in proportion to ``weights``. The columns ``labels`` and ``losses`` are
    required. From arXiv:2010.05595.

    Args:
        size: maximum number of rows.
        generator: on the CPU; decides which rows are kept and which are drawn.
    """

    def offer(self, **rows: Tensor) -> None:
        """Offer a batch of rows, one by one.

        Args:
            rows: values by column name, with rows along the first dimension.

        Raises:
            UserError: if columns differ in their number of rows.
        """
        count = len(next(iter(rows.values())))
        free = min(max(self.size - self.offered, 0), count)
        if free:
            super().offer(**{name: values[:free] for name, values in rows.items()})
        coins = torch.rand(count - free, 2, generator=self.generator, dtype=torch.float64).tolist()
        for row, (accepted, place) in enumerate(coins, start=free):
            self.offered += 1
            if accepted * self.offered < self.size and self.count < self.size:
                self._place({self.count: row}, rows)  # a slot that a dropped row left free
                self.count += 1
            elif accepted * self.offered < self.size:
                weights = self.weights().cumsum(0)
                slot = (weights <= place * weights[-1]).sum().clamp(max=self.size - 1).view(1)
                for name, values in rows.items():
                    self.columns[name].index_copy_(0, slot, values[row : row + 1])

    def weights(self) -> Tensor:
        """Return the weight with which each row held is replaced: N float32 from 0 to 1.

        It is half the size of the row's class, minus half the row's loss. Losses are divided by
        the mean loss times the mean class size. The weights are then scaled to the range 0 to 1.
        """
        labels = self.held["labels"]
        counts = (labels[:, None] == labels[None, :]).sum(1).float()
        losses = self.held["losses"].float()
        scale = losses.abs().mean() * counts.mean()
        raw = 0.5 * counts - 0.5 * losses / scale.clamp(min=1e-12)
        low, high = raw.min(), raw.max()
        return torch.where(high > low, (raw - low) / (high - low).clamp(min=1e-12), 1.0)

    def refresh(self, rows: Tensor, losses: Tensor) -> None:
        """Store new losses of rows held.

        Args:
            rows: their slots, N int64, as ``draw`` returns them.
            losses: N floats.
        """
        self.columns["losses"][rows] = losses.detach().float()
