"""What a method is: three hooks, a prediction, and a state."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import torch
from msgspec import Meta
from torch import Generator, Tensor, nn

from lord.config import Config, UserError
from lord.config.types import Count
from lord.data import Augment
from lord.methods.optim import Descent, OptimizerConfig
from lord.rehearsal import Buffer
from lord.streams import Task

CHUNK = 32
"""Images of a pass without gradients."""
Scalars = dict[str, Tensor]
"""What a step reports, by name: 0-dimensional tensors, left on the device."""


@dataclass(frozen=True)
class Batch:
    """Rows of the current task. images: N x C x H x W uint8; labels, places: N int64."""

    images: Tensor
    labels: Tensor
    places: Tensor


@dataclass(frozen=True)
class Context:
    """What a run gives its method.

    Attributes:
        network: at full width, freshly initialised, on the device, one output a class.
        augment: of training images.
        optimizer: how the method's student is trained.
        shape: channels, height and width of the images.
        classes: of the whole stream.
        tasks: of the whole stream.
        steps: number of steps of a task, for schedules.
        generator: on the CPU, for every decision of the method.
        last: index of the last task that will be learnt; None where nobody knows.
    """

    network: nn.Module
    augment: Augment
    optimizer: OptimizerConfig
    shape: tuple[int, int, int]
    classes: int
    tasks: int
    steps: Callable[[Task], int]
    generator: Generator
    last: int | None = None


class MethodConfig(Config, frozen=True):
    """Settings every method has. Each method's own ``Config`` extends it."""

    statistics: Literal["trained", "recomputed"] = "trained"
    """Batch-norm statistics behind the headline accuracy: the running ones as training left
    them, or recomputed on the buffer."""


class BufferConfig(MethodConfig, frozen=True):
    """Settings of every method with a replay buffer."""

    buffer: Count = 500
    """Samples kept."""
    replay: Annotated[int, Meta(ge=2)] = 32
    """Samples drawn from the buffer at a time; batch-norm cannot take one alone."""

    def __post_init__(self) -> None:
        if self.buffer < self.replay:
            raise UserError(
                f"buffer: holds {self.buffer}, fewer than the {self.replay} that replay draws"
            )


class Method(ABC):
    """A way to learn a stream. It owns its student, its optimizer and its buffer.

    The loop calls ``begin_task``, then ``step`` for each batch, then ``end_task``; ``predict`` at
    any time. ``step`` makes its own update and returns tensors; it never waits for the device.
    """

    name: ClassVar[str]
    joint: ClassVar[bool] = False
    """Whether it is trained on all tasks at once."""
    WAITS: ClassVar[bool] = False
    """Whether a step must wait for the device: what it keeps depends on values computed there."""
    SPLITS: ClassVar[bool] = True
    """Whether several processes may share out its passes: not where it looks at gradients, or at
    what goes on inside the network, itself."""
    WIDENS: ClassVar[bool] = True
    """Whether what it has learnt can move into one with more classes, as in a learner."""
    STEPS: ClassVar[bool] = True
    """Whether it learns by its steps, so that a budget can bound it."""
    Config: ClassVar[type[MethodConfig]] = MethodConfig
    PRESETS: ClassVar[dict[str, dict[int, dict[str, Any]]]] = {}
    """Published hyperparameters: stream -> buffer size (0 without buffer) -> settings."""
    STATE: ClassVar[tuple[str, ...]] = ()
    """Attributes of its own that decide how learning goes on: plain values, tensors, or whatever
    has a ``state_dict``."""

    def __init__(self, config: Any, context: Context) -> None:
        self.config = config
        self.context = context
        self.generator = context.generator
        self.augment = context.augment
        self.student = context.network.train()
        self.device = next(self.student.parameters()).device
        self.descent = Descent(self.student.parameters(), context.optimizer)
        self.buffer: Buffer | None = None

    @property
    def predictor(self) -> nn.Module:
        """The network that predicts: the student, where a method has no better one."""
        return self.student

    @property
    def updates(self) -> int:
        """Updates a step makes, in this task."""
        return 1

    def begin_task(self, task: Task) -> None:
        """A task starts."""
        self.descent.begin(self.updates * self.context.steps(task))

    def shorten(self, steps: int) -> None:
        """The task will have so many steps, not those it was taken to have."""
        self.descent.steps = self.updates * steps

    @abstractmethod
    def step(self, batch: Batch) -> Scalars:
        """Learn from one batch."""

    def end_task(self, task: Task) -> None:  # noqa: B027
        """A task has ended; most methods have nothing to do."""

    @torch.no_grad()
    def predict(self, images: Tensor) -> Tensor:
        """N x C x H x W uint8 images to N x classes logits, in evaluation mode."""
        network = self.predictor.eval()
        try:
            return network(self.augment.normalise(images))
        finally:
            network.train()

    @torch.no_grad()
    def outputs(self, images: Tensor) -> Tensor:
        """N x C x H x W uint8 to N x outputs float32: the student's, in evaluation mode, without
        augmentation."""
        self.student.eval()
        parts = [self.student(self.augment.normalise(part)) for part in images.split(CHUNK)]
        self.student.train()
        return torch.cat(parts).float()

    def state_dict(self) -> dict[str, Any]:
        """Everything that decides how learning goes on: plain values and (live) tensors."""
        return {
            "student": dict(self.student.state_dict()),
            "descent": self.descent.state_dict(),
            "buffer": self.buffer.state_dict() if self.buffer is not None else None,
            "generator": self.generator.get_state(),
            "augment": self.augment.generator.get_state(),
            "own": {name: _state(getattr(self, name)) for name in self.STATE},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state saved by a method of the same configuration and setting."""
        self.student.load_state_dict(state["student"])
        self.descent.load_state_dict(state["descent"])
        if self.buffer is not None:
            self.buffer.load_state_dict(moved(state["buffer"], self.device))
        self.generator.set_state(state["generator"])
        self.augment.generator.set_state(state["augment"])
        for name, value in state["own"].items():
            own, value = getattr(self, name), moved(value, self.device)
            if hasattr(own, "load_state_dict"):
                own.load_state_dict(value)
            else:
                setattr(self, name, value)


def take_step(method: Method, batch: Batch) -> Scalars:
    """Let a method learn from one batch.

    Raises:
        UserError: if it does not tell its loss.
    """
    scalars = method.step(batch)
    whole = isinstance(scalars, dict) and "loss" in scalars
    if not whole or not all(
        isinstance(name, str) and isinstance(own, Tensor) and own.dim() == 0
        for name, own in scalars.items()
    ):
        raise UserError(
            f"method '{method.name}': expected step to return tensors of no dimension by name, "
            f"'loss' among them, got {scalars!r}"
        )
    return scalars


def moved(value: Any, device: torch.device) -> Any:
    """A state's part, with its tensors on a device: what is read from disk is on the CPU."""
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, dict):
        return {name: moved(own, device) for name, own in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(moved(own, device) for own in value)
    return value


def _state(value: Any) -> Any:
    return value.state_dict() if hasattr(value, "state_dict") else value


class Rehearsal(Method):
    """A method with a reservoir of what it has seen."""

    Config: ClassVar[type[MethodConfig]] = BufferConfig

    def __init__(self, config: Any, context: Context) -> None:
        super().__init__(config, context)
        self.buffer: Buffer = Buffer(config.buffer, self.generator)
