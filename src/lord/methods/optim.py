"""Gradient descent with a schedule over each task."""

import math
from collections.abc import Iterable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from lord.config import Config, UserError
from lord.config.types import NonNegative, Positive, ProperFraction
from lord.methods.muon import Muon

FUSED = ("cpu", "cuda", "mps", "xpu")
"""Devices on which one kernel updates all parameters."""


class OptimizerConfig(Config, frozen=True):
    optimizer: Literal["sgd", "muon"] = "sgd"
    """Stochastic gradient descent, or with orthogonalised momentum."""
    lr: Positive = 0.03
    """Learning rate, the peak where a schedule changes it."""
    momentum: ProperFraction = 0.0
    """Share of the last update that goes on."""
    nesterov: bool = False
    """Nesterov's momentum; of sgd, and with a momentum above 0."""
    weight_decay: NonNegative = 0.0
    """Pull of every weight towards 0, times the learning rate."""
    schedule: Literal["constant", "cosine", "triangle"] = "constant"
    """Learning rate over a task: constant; cosine to 0; rising for a fifth, then falling to 0."""

    def __post_init__(self) -> None:
        if self.nesterov and (self.optimizer != "sgd" or not self.momentum):
            raise UserError(
                "nesterov: needs sgd and a momentum above 0, got "
                f"{self.optimizer} and {self.momentum:g}"
            )


def share_of_peak(schedule: str, progress: float) -> float:
    """Learning rate as a share of its peak. progress: part of the task that is done, 0 to 1.

    >>> share_of_peak("triangle", 0.1), share_of_peak("triangle", 0.6)
    (0.5, 0.5)
    """
    if schedule == "cosine":
        return (1 + math.cos(math.pi * progress)) / 2
    if schedule == "triangle":
        return min(progress / 0.2, (1 - progress) / 0.8)
    return 1.0


class Descent:
    """An optimizer whose learning rate follows a schedule over each task.

    Args:
        parameters: what is trained.
        config: see there.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], config: OptimizerConfig) -> None:
        self.config = config
        trained = list(parameters)
        self.optimizer: torch.optim.Optimizer
        if config.optimizer == "muon":
            self.optimizer = Muon(trained, config.lr, config.momentum, config.weight_decay)
        else:
            self.optimizer = torch.optim.SGD(
                trained,
                lr=config.lr,
                momentum=config.momentum,
                nesterov=config.nesterov,
                weight_decay=config.weight_decay,
                fused=trained[0].device.type in FUSED,
            )
        self.peak = config.lr
        self.steps, self.done = 1, 0

    def begin(self, steps: int) -> None:
        """A task of ``steps`` updates starts."""
        self.steps, self.done = steps, 0

    def update(self, loss: Tensor) -> None:
        """Go back through ``loss``, and step."""
        self.back(loss)
        self.step()

    def back(self, term: Tensor) -> Tensor:
        """Add the gradients of one term of the loss; returns its value.

        What the term's passes kept for this is then free: terms gone back through one by one need
        less memory than their sum.
        """
        term.backward()
        return term.detach()

    def step(self) -> None:
        """Step along the gradients there are, and forget them."""
        progress = min((self.done + 0.5) / self.steps, 1.0)
        for group in self.optimizer.param_groups:
            group["lr"] = self.peak * share_of_peak(self.config.schedule, progress)
        self.optimizer.step()
        self.optimizer.zero_grad()
        torch.clear_autocast_cache()  # it holds the weights as they were, to the context's end
        self.done += 1

    def state_dict(self) -> dict[str, Any]:
        return {
            "torch": self.optimizer.state_dict(),
            "steps": self.steps,
            "done": self.done,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(state["torch"])
        self.steps, self.done = state["steps"], state["done"]
