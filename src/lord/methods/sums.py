"""Sums over features, from which closed-form heads are computed."""

from typing import Any, Self

import torch
from torch import Tensor


class Sums:
    """Number and sum of the features of each class, and the sum of their outer products.

    Sums are float64 on the CPU. They do not depend on the order of rows, and rows can be subtracted
    again, exactly up to rounding.

    >>> sums = Sums(classes=2, width=3)
    >>> sums.add(torch.ones(4, 3), torch.tensor([0, 1, 1, 1]))
    >>> sums.means()[1], float(sums.scatter[0, 0])
    (tensor([1., 1., 1.], dtype=torch.float64), 4.0)

    Args:
        classes: number of classes.
        width: number of features of an image.
        full: sum whole outer products, width x width. Otherwise, only their diagonals.
    """

    def __init__(self, classes: int, width: int, full: bool = True) -> None:
        self.counts = torch.zeros(classes, dtype=torch.float64)
        self.totals = torch.zeros(classes, width, dtype=torch.float64)
        shape = (width, width) if full else (width,)
        self.scatter = torch.zeros(shape, dtype=torch.float64)
        self.spread = torch.zeros((), dtype=torch.float64)
        """Number of rows of removed classes. The scatter holds their spread around their means."""

    def add(self, features: Tensor, labels: Tensor, sign: int = 1) -> None:
        """Add rows, or subtract them.

        Args:
            features: N x width.
            labels: N int64.
            sign: 1 to add, -1 to subtract.
        """
        x, labels = features.double().cpu(), labels.cpu()
        weight = torch.full((len(x),), float(sign), dtype=torch.float64)
        self.counts.index_add_(0, labels, weight)
        self.totals.index_add_(0, labels, x, alpha=sign)
        if self.scatter.dim() == 2:
            self.scatter.addmm_(x.T, x, alpha=sign)
        else:
            self.scatter.add_((x * x).sum(0), alpha=sign)
        if sign < 0:  # without rows nothing is left, not even rounding
            self.totals[self.counts == 0] = 0
            self.scatter.mul_(self.counts.any())
            self.spread = self.spread * self.counts.any()

    def merge(self, label: int, into: int) -> None:
        """Move the rows of a class to another class, exactly."""
        for sums in (self.counts, self.totals):
            sums[into] += sums[label]
            sums[label] = 0

    def remove(self, label: int) -> None:
        """Subtract a class of which only number and mean are known.

        How its rows spread around their mean stays in the scatter, so ``within`` stays as it was.
        """
        mean, gone = self.means()[label], self.counts[label].clone()
        between = torch.outer(mean, mean) if self.scatter.dim() == 2 else mean**2
        self.scatter = self.scatter - gone * between
        self.spread = self.spread + gone
        self.counts[label] = self.totals[label] = 0

    def without(self, features: Tensor, labels: Tensor) -> Self:
        """Return the sums without some of their rows."""
        less = type(self)(len(self.counts), self.totals.shape[1], self.scatter.dim() == 2)
        less.load_state_dict({name: tensor.clone() for name, tensor in vars(self).items()})
        less.add(features, labels, sign=-1)
        return less

    def means(self) -> Tensor:
        """Return the mean of each class, classes x width; zeros for a class without rows."""
        return self.totals / self.counts.clamp(min=1)[:, None]

    def within(self) -> Tensor:
        """Return the covariance of features around their class's mean, by the number of rows."""
        means, n = self.means(), (self.counts.sum() + self.spread).clamp(min=1)
        if self.scatter.dim() == 2:
            return (self.scatter - means.T @ (means * self.counts[:, None])) / n
        return (self.scatter - (means**2 * self.counts[:, None]).sum(0)) / n

    def flops(self, rows: int) -> int:
        """Return the FLOPs of adding rows: those of matrix products."""
        return 2 * rows * self.scatter.numel() if self.scatter.dim() == 2 else 0

    def state_dict(self) -> dict[str, Any]:
        """Return the sums by name. Of outer products, which are symmetric, one half is enough."""
        if self.scatter.dim() == 2 and torch.equal(self.scatter, self.scatter.T):
            half = self.scatter[*torch.triu_indices(*self.scatter.shape)]
            rest = {name: value for name, value in vars(self).items() if name != "scatter"}
            return {**rest, "half": half}
        return dict(vars(self))

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take sums that were saved, possibly with fewer classes."""
        missing = len(self.counts) - len(state["counts"])
        for name in ("counts", "totals"):
            saved = state[name].cpu()
            padding = saved.new_zeros(missing, *saved.shape[1:])
            setattr(self, name, torch.cat([saved, padding]))
        self.spread = state.get("spread", self.spread).cpu()
        self.scatter = state["scatter"].cpu() if "scatter" in state else _whole(state["half"].cpu())


def _whole(half: Tensor) -> Tensor:
    """Return the symmetric matrix of which ``half`` is the upper triangle, row by row."""
    width = int((2 * len(half) + 0.25) ** 0.5)  # n (n + 1) / 2 values
    upper, right = torch.triu_indices(width, width)
    whole = half.new_empty(width, width)
    whole[upper, right] = whole[right, upper] = half
    return whole
