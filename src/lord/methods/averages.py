"""Exponential moving averages of the student's weights."""

import copy
from typing import Any

import torch
from torch import Tensor, nn


class Average:
    """An exponential moving average of the student: theta <- a theta + (1 - a) student.

    ``a`` is at most ``decay`` and begins at 0, so that early weights are forgotten. The running
    statistics of batch-norm belong to the copy: they come from its passes in training mode.

    Args:
        student: the network to follow.
        decay: decay of the average, near 1.
    """

    def __init__(self, student: nn.Module, decay: float) -> None:
        self.module = copy.deepcopy(student).requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, student: nn.Module, step: int) -> None:
        """Move towards the student, after ``step`` steps of training, counted from 0."""
        a = min(1 - 1 / (step + 1), self.decay)
        for average, new in zip(self.module.parameters(), student.parameters(), strict=True):
            average.lerp_(new, 1 - a)

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Tensor:
        """Return the logits of normalised images in training mode, without gradients."""
        return self.module(x)

    def state_dict(self) -> dict[str, Any]:
        return dict(self.module.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.module.load_state_dict(state)
