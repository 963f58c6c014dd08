"""Fuse the log-probabilities of two classifiers, with weights fitted on held-out images."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

STEPS = 50
"""Iterations of Newton's method, at most."""


class Fusion(NamedTuple):
    """Weights of two classifiers' log-probabilities.

    >>> HEAD_ONLY(torch.tensor([[-1.0, -2.0]]), torch.tensor([[-2.0, -1.0]]))
    tensor([[-1., -2.]])

    Attributes:
        head: weight of the closed-form head; 1 / its temperature.
        student: weight of the student.
    """

    head: float
    student: float

    def __call__(self, head: Tensor, student: Tensor) -> Tensor:
        """Return the fused logits of N x classes log-probabilities."""
        return self.head * head + self.student * student


HEAD_ONLY = Fusion(1.0, 0.0)


def fit_fusion(head: Tensor, student: Tensor, labels: Tensor) -> Fusion:
    """Return the weights, at least 0, with the lowest cross-entropy on held-out images.

    The cross-entropy is convex in the weights, so Newton's method finds them. A small pull towards
    the head makes them unique.

    Args:
        head, student: N x classes log-probabilities.
        labels: N int64.
    """
    if not len(labels):
        return HEAD_ONLY
    x = torch.stack([head, student], 2).double().clamp(min=-1e4)
    weights, start = torch.tensor([1.0, 0.0]).double(), torch.tensor([1.0, 0.0]).double()
    pull, right = 1.0 / len(labels), x[torch.arange(len(labels)), labels]
    for _ in range(STEPS):
        shares = (x @ weights).softmax(1)
        mean = (shares[:, :, None] * x).sum(1)
        slope = (mean - right).mean(0) + pull * (weights - start)
        second = torch.einsum("nc,nci,ncj->ij", shares, x, x) - mean.T @ mean
        curve = second / len(labels) + pull * torch.eye(2).double()
        step = torch.linalg.solve(curve, slope)
        before, weights = weights, _improved(x, labels, weights, step, pull, start)
        if weights is before:  # the loss cannot fall further
            break
    return Fusion(*weights.tolist())


def _improved(
    x: Tensor, labels: Tensor, weights: Tensor, step: Tensor, pull: float, start: Tensor
) -> Tensor:
    """Return weights after a step that is halved until the loss falls."""

    def loss(at: Tensor) -> float:
        return float(F.cross_entropy(x @ at, labels) + pull * ((at - start) ** 2).sum() / 2)

    before = loss(weights)
    for _ in range(20):
        moved = (weights - step).clamp(min=0)
        if loss(moved) < before:
            return moved
        step = step / 2
    return weights


def gain(fusion: Fusion, head: Tensor, student: Tensor, labels: Tensor) -> tuple[float, float]:
    """Return by how much a fusion lowers the cross-entropy of the head, and its standard error.

    The head has its best temperature, so that only the student can make the difference.

    Args:
        fusion: weights, fitted on these images.
        head, student: N x classes log-probabilities.
        labels: N int64.
    """
    if len(labels) < 2:
        return 0.0, float("inf")
    alone = fit_fusion(head, torch.zeros_like(head), labels)
    before = F.cross_entropy(alone(head, student), labels, reduction="none")
    after = F.cross_entropy(fusion(head, student), labels, reduction="none")
    drop = (before - after).double()
    return float(drop.mean()), float(drop.std() / len(drop) ** 0.5)
