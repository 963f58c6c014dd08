"""Reservoirs that choose what a new row replaces."""

import torch
from torch import Tensor

from lord.rehearsal.buffer import Buffer


class Choosy(Buffer):
    """Every row offered is accepted with a reservoir's chance; what it replaces is drawn by
    weight. ``labels`` is one of the columns."""

    def weights(self) -> Tensor:
        """Of each row held, its chance to be replaced, up to a factor."""
        raise NotImplementedError

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

    def _counts(self) -> Tensor:
        """For each row held, how many there are of its class."""
        labels = self.held["labels"]
        return (labels[:, None] == labels[None, :]).sum(1).float()


class Balanced(Choosy):
    """A new row replaces one of the largest class."""

    def weights(self) -> Tensor:
        counts = self._counts()
        return (counts == counts.max()).float()


class LossAware(Choosy):
    """Rows of large classes and of small loss go first (Buzzega et al. 2020, arXiv:2010.05595).

    ``losses`` is one of the columns. The weight is half the class's size and half the negative
    loss, the latter in units of mean loss times mean size, scaled to reach from 0 to 1.
    """

    def weights(self) -> Tensor:
        counts = self._counts()
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
