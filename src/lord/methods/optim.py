"""Optimizers with a learning-rate schedule over each task."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from lord.config import Config, UserError
from lord.config.types import NonNegative, Positive, ProperFraction
from lord.methods.muon import Muon

FUSED = ("cpu", "cuda", "mps", "xpu")
"""Devices on which one kernel updates all parameters."""


class OptimizerConfig(Config, frozen=True):
    """Settings of the optimizer."""

    optimizer: Literal["sgd", "muon"] = "sgd"
    """Stochastic gradient descent, or Muon: momentum that is orthogonalised."""
    lr: Positive = 0.03
    """Learning rate, or its peak under a schedule."""
    momentum: ProperFraction = 0.0
    """Momentum of the optimizer; 0 in the protocol."""
    nesterov: bool = False
    """Use Nesterov momentum. Needs sgd and a momentum above 0."""
    weight_decay: NonNegative = 0.0
    """Weight decay of the optimizer; 0 in the protocol."""
    schedule: Literal["constant", "cosine", "triangle"] = "constant"
    """Learning rate over a task: constant; cosine to 0; or triangle, which rises for a fifth of
    the task and then falls to 0."""

    def __post_init__(self) -> None:
        if self.nesterov and (self.optimizer != "sgd" or not self.momentum):
            raise UserError(
                f"cannot be used with {self.optimizer} and momentum {self.momentum:g}",
                field="nesterov",
                hint="set `optimizer` to sgd and `momentum` above 0",
            )


@dataclass(frozen=True)
class Progress:
    """The progress within a task.

    Attributes:
        done: number of steps done before this one.
        total: number of steps of the whole task.
    """

    done: int
    total: int

    @property
    def fraction(self) -> float:
        """Share of the task that is done in the middle of this step, at most 1."""
        return min((self.done + 0.5) / self.total, 1.0)

    def update(self, number: int, updates: int) -> "Progress":
        """Return the progress at one of several updates within a step, counted from 0.

        >>> Progress(3, 10).update(1, updates=2)
        Progress(done=7, total=20)
        """
        return Progress(updates * self.done + number, updates * self.total)


def share_of_peak(schedule: str, fraction: float) -> float:
    """Return the learning rate as a share of its peak, at a fraction (0 to 1) of a task.

    >>> share_of_peak("triangle", 0.1), share_of_peak("triangle", 0.6)
    (0.5, 0.5)
    """
    if schedule == "cosine":
        return (1 + math.cos(math.pi * fraction)) / 2
    if schedule == "triangle":
        return min(fraction / 0.2, (1 - fraction) / 0.8)
    return 1.0


class ScheduledOptimizer:
    """A PyTorch optimizer with a learning rate that follows a schedule over each task.

    Args:
        parameters: the weights to train.
        config: the optimizer's settings.

    Attributes:
        torch: the PyTorch optimizer.
        peak: the learning rate that the schedule scales.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], config: OptimizerConfig) -> None:
        self.config = config
        self.peak = config.lr
        trained = list(parameters)
        self.torch: torch.optim.Optimizer
        if config.optimizer == "muon":
            self.torch = Muon(trained, config.lr, config.momentum, config.weight_decay)
        else:
            self.torch = torch.optim.SGD(
                trained,
                lr=config.lr,
                momentum=config.momentum,
                nesterov=config.nesterov,
                weight_decay=config.weight_decay,
                fused=trained[0].device.type in FUSED,
            )

    def update(self, loss: Tensor, progress: Progress) -> None:
        """Compute the gradients of ``loss`` and make a step."""
        self.backward(loss)
        self.step(progress)

    def backward(self, term: Tensor) -> Tensor:
        """Add the gradients of one term of the loss, and return the term's value.

        This frees the memory of the term's passes. So terms that are added one by one need less
        memory than their sum.
        """
        term.backward()
        return term.detach()

    def step(self, progress: Progress) -> None:
        """Update the weights along their gradients, and clear the gradients."""
        for group in self.torch.param_groups:
            group["lr"] = self.peak * share_of_peak(self.config.schedule, progress.fraction)
        self.torch.step()
        self.torch.zero_grad()
        # Autocast keeps bf16 copies of the weights until its context ends; these are now outdated.
        torch.clear_autocast_cache()

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the PyTorch optimizer."""
        return self.torch.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state that ``state_dict`` returned."""
        self.torch.load_state_dict(state)
