"""Optimizers with a learning-rate schedule over each task."""

import inspect
import math
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lord.config import Config, UserError
from lord.config.types import NonNegative, Positive, ProperFraction
from lord.methods.muon import Muon

CLASSES: dict[str, Callable[..., Optimizer]] = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "nadam": torch.optim.NAdam,
    "radam": torch.optim.RAdam,
    "adamax": torch.optim.Adamax,
    "rmsprop": torch.optim.RMSprop,
    "adagrad": torch.optim.Adagrad,
}
"""Optimizers of PyTorch that keep one number per weight, so that their state can grow."""
FUSED = ("cpu", "cuda", "mps", "xpu")
"""Devices on which one kernel updates all parameters."""


ADAMS = ("adam", "adamw", "nadam", "radam", "adamax")
TAKEN_BY = {
    "momentum": ("sgd", "muon", "rmsprop"),
    "dampening": ("sgd",),
    "nesterov": ("sgd",),
    "beta1": ADAMS,
    "beta2": (*ADAMS, "rmsprop"),
    "eps": (*ADAMS, "rmsprop", "adagrad"),
    "amsgrad": ("adam", "adamw"),
}
"""Option -> the optimizers that take it."""


class OptimizerConfig(Config, frozen=True):
    """Settings of the optimizer."""

    optimizer: Literal[
        "sgd", "muon", "adam", "adamw", "nadam", "radam", "adamax", "rmsprop", "adagrad"
    ] = "sgd"
    """Muon orthogonalises the momentum. The others are those of ``torch.optim``."""
    lr: Positive = 0.03
    """Learning rate, or its peak under a schedule."""
    momentum: ProperFraction = 0.0
    """Momentum of sgd, muon or rmsprop; 0 in the protocol."""
    dampening: ProperFraction = 0.0
    """Dampening of sgd's momentum."""
    nesterov: bool = False
    """Use Nesterov momentum. Needs sgd, a momentum above 0 and no dampening."""
    beta1: ProperFraction | None = None
    """Decay of Adam's mean gradient. None: as in PyTorch."""
    beta2: ProperFraction | None = None
    """Decay of the mean squared gradient of Adam or rmsprop. None: as in PyTorch."""
    eps: Positive | None = None
    """Added to the root of the mean squared gradient. None: as in PyTorch."""
    amsgrad: bool = False
    """Use the largest mean squared gradient so far. Needs adam or adamw."""
    weight_decay: NonNegative = 0.0
    """Weight decay of the optimizer; 0 in the protocol."""
    schedule: Literal["constant", "cosine", "triangle"] = "constant"
    """Learning rate over a task: constant; cosine to 0; or triangle, which rises for a fifth of
    the task and then falls to 0."""

    def __post_init__(self) -> None:
        # A preset may set the momentum of another optimizer, so only `check_options` refuses it.
        check_options(self, set(TAKEN_BY) - {"momentum"})
        if self.nesterov and (not self.momentum or self.dampening):
            raise UserError(
                f"cannot be used with momentum {self.momentum:g} and dampening {self.dampening:g}",
                field="nesterov",
                hint="set `momentum` above 0 and `dampening` to 0",
            )


def check_options(config: OptimizerConfig, given: Collection[str]) -> None:
    """Check that the optimizer takes the options that were given.

    Args:
        config: settings of the optimizer.
        given: names of settings. Those that have their default are accepted.

    Raises:
        UserError: for the first option that it does not take.
    """
    for option, takers in TAKEN_BY.items():
        value = getattr(config, option)
        if option in given and value and config.optimizer not in takers:
            raise UserError(
                f"is not an option of {config.optimizer}",
                field=option,
                given=value,
                hint=f"leave it out, or set `optimizer` to one of {', '.join(takers)}",
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


def _torch_optimizer(trained: list[nn.Parameter], config: OptimizerConfig) -> Optimizer:
    shared = {"lr": config.lr, "weight_decay": config.weight_decay}
    if config.optimizer == "muon":
        return Muon(trained, momentum=config.momentum, **shared)
    kind = CLASSES[config.optimizer]
    accepted = inspect.signature(kind).parameters
    beta1, beta2 = config.beta1, config.beta2
    options: dict[str, Any] = {
        name: getattr(config, name)
        for name in ("momentum", "dampening", "nesterov", "eps", "amsgrad")
        if name in accepted and getattr(config, name) is not None
    }
    if "betas" in accepted:
        usual = accepted["betas"].default
        given = (beta1, beta2)
        options["betas"] = tuple(u if g is None else g for u, g in zip(usual, given, strict=True))
    elif beta2 is not None:
        options["alpha"] = beta2  # rmsprop
    if "fused" in accepted:
        options["fused"] = trained[0].device.type in FUSED
    return kind(trained, **shared, **options)


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
        self.torch = _torch_optimizer(trained, config)

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
