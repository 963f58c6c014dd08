"""Buffers that choose what a new row replaces."""

from collections import Counter
from hashlib import blake2b
from typing import Any

import torch
from torch import Generator, Tensor

from lord.rehearsal.buffer import Buffer


class Balanced(Buffer):
    """As many of each class as came of it, up to an equal share (Chrysakis and Moens 2020, ICML).

    Once it is full, a row of a class that has never been the largest replaces one of the largest;
    a row of one that has been takes the place of one of its own, with the chance a reservoir of
    its class alone would give it. So what came seldom stays. An image that is held already takes
    its own place again, with the later label and logits: repeats push nothing out. ``labels`` is
    one of the columns; they and ``images`` are read on the host: where they are on another device,
    an offer waits for it.
    """

    def __init__(self, size: int, generator: Generator) -> None:
        super().__init__(size, generator)
        self.seen: Counter[int] = Counter()
        """Rows offered of each class, but for those held already."""
        self.largest: set[int] = set()
        """Classes that are, or have been, the largest in a full buffer."""
        self.contents: list[bytes | None] = []
        """Of each image held, what tells it from others."""

    def offer(self, **rows: Tensor) -> None:
        held = self.held["labels"].tolist() if self.columns else []
        places = {content: slot for slot, content in enumerate(self.contents)}
        placed: dict[int, int] = {}
        for row, (label, content) in enumerate(
            zip(rows["labels"].tolist(), _contents(rows), strict=True)
        ):
            slot = places.get(content) if content else None
            if slot is None:
                self.offered += 1
                self.seen[label] += 1
                slot = self._slot(held, label)
            if slot is not None:
                for gone in self.contents[slot : slot + 1]:
                    places.pop(gone, None)
                held[slot : slot + 1] = [label]
                self.contents[slot : slot + 1] = [content]
                placed[slot] = row
                if content:
                    places[content] = slot
        self._place(placed, rows)

    def _slot(self, held: list[int], label: int) -> int | None:
        """Where a row of this class goes, if anywhere."""
        if len(held) < self.size:
            return len(held)
        sizes = Counter(held)
        most = max(sizes.values())
        self.largest |= {own for own, count in sizes.items() if count == most}
        accepted, place = torch.rand(2, generator=self.generator, dtype=torch.float64).tolist()
        if label not in self.largest:
            among = [slot for slot, own in enumerate(held) if sizes[own] == most]
        elif accepted * self.seen[label] < sizes[label]:
            among = [slot for slot, own in enumerate(held) if own == label]
        else:
            return None
        return among[int(place * len(among))]

    def state_dict(self) -> dict[str, Any]:
        own = {"seen": list(self.seen.items()), "largest": sorted(self.largest)}
        return super().state_dict() | own

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.contents = _contents(self.held) if self.columns else []
        self.seen = Counter(dict(state["seen"]))
        self.largest = set(state["largest"])


def _contents(rows: dict[str, Tensor]) -> list[bytes | None]:
    """What tells each image from others; None where there are no images."""
    if "images" not in rows:
        return [None] * len(rows["labels"])
    images = rows["images"].cpu().contiguous().numpy()
    return [blake2b(image.data, digest_size=8).digest() for image in images]


class LossAware(Buffer):
    """Rows of large classes and of small loss go first (Buzzega et al. 2020, arXiv:2010.05595).

    Every row offered is accepted with a reservoir's chance; what it replaces is drawn by weight.
    ``labels`` and ``losses`` are among the columns. The weight is half the class's size and half
    the negative loss, the latter in units of mean loss times mean size, scaled to between 0 and 1.
    """

    def offer(self, **rows: Tensor) -> None:
        count = len(next(iter(rows.values())))
        free = min(max(self.size - self.offered, 0), count)
        if free:
            super().offer(**{name: values[:free] for name, values in rows.items()})
        coins = torch.rand(count - free, 2, generator=self.generator, dtype=torch.float64).tolist()
        for row, (accepted, place) in enumerate(coins, start=free):
            self.offered += 1
            if accepted * self.offered < self.size:
                weights = self.weights().cumsum(0)
                slot = (weights <= place * weights[-1]).sum().clamp(max=self.size - 1).view(1)
                for name, values in rows.items():
                    self.columns[name].index_copy_(0, slot, values[row : row + 1])

    def weights(self) -> Tensor:
        """Of each row held, its chance to be replaced, up to a factor."""
        labels = self.held["labels"]
        counts = (labels[:, None] == labels[None, :]).sum(1).float()
        losses = self.held["losses"].float()
        scale = losses.abs().mean() * counts.mean()
        raw = 0.5 * counts - 0.5 * losses / scale.clamp(min=1e-12)
        low, high = raw.min(), raw.max()
        return torch.where(high > low, (raw - low) / (high - low).clamp(min=1e-12), 1.0)

    def refresh(self, rows: Tensor, losses: Tensor) -> None:
        """Note the present losses of rows that were drawn."""
        self.columns["losses"][rows] = losses.detach().float()


KEEPING: dict[str, type[Buffer]] = {"reservoir": Buffer, "balanced": Balanced, "losses": LossAware}
"""Buffers by what they keep."""
