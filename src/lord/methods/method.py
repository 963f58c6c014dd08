"""The contract of a method: three hooks, a prediction, and a state."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, ClassVar, Generic, Literal, TypeVar, get_args

import torch
from torch import Tensor, nn

from lord.config import Config, UserError
from lord.config.types import AtLeastTwo, Count
from lord.methods.context import Batch, Context
from lord.methods.heads import features_of
from lord.methods.optim import Progress, ScheduledOptimizer
from lord.methods.outputs import grouped
from lord.rehearsal import Buffer
from lord.streams import Task

CHUNK = 32
"""Number of images in a pass without gradients."""
Scalars = dict[str, Tensor]
"""Figures that a step reports, by name: 0-dimensional tensors, left on the device."""
Published = dict[str, dict[int, dict[str, Any]]]
"""Published settings: stream -> buffer size (0 without a buffer) -> setting -> value."""


class MethodConfig(Config, frozen=True):
    """Settings of every method. A method's configuration extends it."""

    statistics: Literal["trained", "recomputed"] = "trained"
    """Batch-norm statistics for the headline accuracy: the running statistics of training, or
    statistics recomputed on the buffer."""


class BufferConfig(MethodConfig, frozen=True):
    """Settings of every method with a replay buffer."""

    buffer: Count = 500
    """Number of samples that the buffer can hold."""
    replay: AtLeastTwo = 32
    """Number of samples in a draw from the buffer. Batch-norm needs more than one."""

    def __post_init__(self) -> None:
        if self.buffer < self.replay:
            raise UserError(
                field="buffer",
                given=self.buffer,
                allowed=f"at least the {self.replay} samples of one `replay` draw",
            )


@dataclass(frozen=True)
class Traits:
    """Properties of a method that runs and learners depend on.

    Attributes:
        joint: it trains on all tasks at once.
        splits: several processes can share its passes. False for methods that read gradients or
            look inside the network.
        widens: its state can move into a network with more classes, which a learner needs.
        by_steps: it learns during its steps, so a budget of time or FLOPs can limit it.
        ahead: it uses all images of a task before its first step.
        waits: a step waits for the device, because values computed on it decide what to store.
        recurs: its tasks may have classes of earlier tasks.
        features: "only": it learns a linear layer over the backbone's features, or over pixels
            without a backbone. "beside": it uses features, and trains a network on images.
            "none": it trains a network on images or, with a backbone, on latents.
    """

    joint: bool = False
    splits: bool = True
    widens: bool = True
    by_steps: bool = True
    ahead: bool = False
    waits: bool = False
    recurs: bool = True
    features: Literal["none", "only", "beside"] = "none"


C = TypeVar("C", bound=MethodConfig, covariant=True)
B = TypeVar("B", bound=BufferConfig, covariant=True)


class Method(ABC, Generic[C]):
    """A continual-learning method, with its student, its optimizer and its buffer.

    The loop calls ``begin_task``, then ``step`` for each batch, then ``end_task``. It may call
    ``predict`` at any time. ``step`` updates the student and returns tensors. A subclass
    names its configuration once: ``class ER(Method[ERConfig])``.

    Args:
        config: the method's settings.
        context: the network, and everything else that the run provides.

    Attributes:
        student: the network that is trained, in training mode.
        optimizer: ``update(loss, progress)`` computes the student's gradients and makes a step.
        buffer: the replay buffer; None unless the method has one.
        augment: augments and normalises images. ``augment.normalise`` only normalises.
        generator: on the CPU; draw random numbers from it, so that runs can be repeated.
        device: where the student is.
    """

    name: ClassVar[str]
    """Name in commands and reports."""
    traits: ClassVar[Traits] = Traits()
    STATE: ClassVar[tuple[str, ...]] = ()
    """Attributes to save in addition to student, optimizer and buffer. They are plain values,
    tensors, or objects with a ``state_dict``."""
    PUBLISHED: ClassVar[Published] = {}
    """Settings that the method's paper gives for a stream."""
    Config: ClassVar[type[MethodConfig]] = MethodConfig
    """Class of its settings, taken from ``Method[...]``."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "Config" in cls.__dict__:
            return
        for base in cls.__dict__.get("__orig_bases__", ()):
            for argument in get_args(base):
                cls.Config = getattr(argument, "__bound__", argument)

    def __init__(self, config: C, context: Context) -> None:
        self.config = config
        self.context = context
        self.generator = context.generator
        self.augment = context.augment
        self.student = context.network.train()
        self.device = next(self.student.parameters()).device
        self.optimizer = ScheduledOptimizer(self.student.parameters(), context.optimizer)
        self.buffer: Buffer | None = None
        self.replaced: dict[int, int] = {}
        """Outputs without a class, because classes were merged or removed. See ``Replaced``."""
        self.warnings: list[str] = []
        """What to tell the user about the settings, on the console and in the record."""

    @property
    def predictor(self) -> nn.Module:
        """The network that predicts: the student, unless a method has a better one."""
        return self.student

    @property
    def resting(self) -> bool:
        """Whether further steps of the task change nothing, so that it can end."""
        return False

    def begin_task(self, task: Task) -> None:
        """Prepare for a task. Most methods have nothing to do."""

    @abstractmethod
    def step(self, batch: Batch, progress: Progress) -> Scalars:
        """Learn from one batch.

        Args:
            batch: images of the current task.
            progress: how many steps of this task are done, and how many it has.

        Returns:
            The loss under "loss", and other figures of interest.
        """

    def end_task(self, task: Task) -> None:
        """Finish a task. Most methods have nothing to do."""

    def bytes_to_come(self, images: int) -> int:
        """Return the most bytes by which the state may still grow, without the buffer.

        Args:
            images: number of images of the run's largest task.
        """
        return 0

    @torch.no_grad()
    def predict(self, images: Tensor) -> Tensor:
        """Return the logits of N x C x H x W uint8 images, N x classes, in evaluation mode."""
        network = self.predictor.eval()
        try:
            return grouped(network(self.augment.normalise(images)), self.replaced)
        finally:
            network.train()

    def unknown_scores(self, images: Tensor) -> Tensor:
        """Return how likely each image is of a class that was not learned, N; higher is likelier.

        Scores have no scale. By default, a score is minus the largest probability.
        """
        return -self.predict(images).softmax(1).max(1).values

    def known_scores(self) -> Tensor:
        """Return scores of images that the method keeps, by a model that has not learned them."""
        return torch.empty(0)

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """Return what the last layer gets for N x C x H x W uint8 images, N x D float32."""
        network = self.predictor.eval()
        try:
            return features_of(network, self.augment.normalise(images)).float().flatten(1)
        finally:
            network.train()

    @torch.no_grad()
    def outputs(self, images: Tensor) -> Tensor:
        """Return the student's outputs for N x C x H x W uint8 images, N x outputs float32.

        The student is in evaluation mode, and the images are not augmented.
        """
        self.student.eval()
        parts = [self.student(self.augment.normalise(part)) for part in images.split(CHUNK)]
        self.student.train()
        return torch.cat(parts).float()

    def state_dict(self) -> dict[str, Any]:
        """Return everything that training depends on: plain values, and tensors without a copy."""
        return {
            "student": dict(self.student.state_dict()),
            "optimizer": self.optimizer.state_dict(),
            "buffer": self.buffer.state_dict() if self.buffer is not None else None,
            "generator": self.generator.get_state(),
            "augment": self.augment.generator.get_state(),
            "own": {name: _state(getattr(self, name)) for name in self.STATE},
            "replaced": self.replaced,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from the state of a method with the same configuration and context."""
        self.student.load_state_dict(state["student"])
        # Version 0.1 wrote the optimizer as part of "descent", and attributes not needed today.
        self.optimizer.load_state_dict(state.get("optimizer") or state["descent"]["torch"])
        if self.buffer is not None:
            self.buffer.load_state_dict(moved(state["buffer"], self.device))
        self.generator.set_state(state["generator"])
        self.augment.generator.set_state(state["augment"])
        self.replaced = dict(state.get("replaced", {}))
        for name in self.STATE:
            attribute, value = getattr(self, name), moved(state["own"][name], self.device)
            if hasattr(attribute, "load_state_dict"):
                attribute.load_state_dict(value)
            else:
                setattr(self, name, value)


class Rehearsal(Method[B]):
    """A method with a replay buffer, filled by reservoir sampling."""

    def __init__(self, config: B, context: Context) -> None:
        super().__init__(config, context)
        self.buffer: Buffer = Buffer(config.buffer, self.generator)

    def joined(self, batch: Batch) -> tuple[Tensor, Tensor, SimpleNamespace | None]:
        """Join a batch and a draw from the buffer.

        Returns:
            images: augmented images; those of the batch come first.
            labels: labels of all images.
            draw: the rows drawn; None if the buffer is empty.
        """
        x, y = self.augment(batch.images), batch.labels
        if not len(self.buffer):
            return x, y, None
        old = self.buffer.draw(self.config.replay)
        return torch.cat([x, self.augment(old.images)]), torch.cat([y, old.labels]), old


AnyMethod = Method[MethodConfig]
"""A method, whatever its settings."""


def take_step(method: AnyMethod, batch: Batch, progress: Progress) -> Scalars:
    """Let a method learn from one batch, and check what it returns.

    Raises:
        UserError: if it returns anything but named scalars with a loss.
    """
    scalars = method.step(batch, progress)
    if isinstance(scalars, dict) and "loss" in scalars:
        named = all(isinstance(name, str) for name in scalars)
        if named and all(isinstance(v, Tensor) and v.dim() == 0 for v in scalars.values()):
            return scalars
    raise UserError(
        f"method '{method.name}': step returned {scalars!r}",
        allowed="0-dimensional tensors by name, 'loss' among them",
    )


def moved(value: Any, device: torch.device) -> Any:
    """Return a part of a state with its tensors on ``device``. Those read from disk are not."""
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, dict):
        return {name: moved(part, device) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(moved(part, device) for part in value)
    return value


def _state(value: Any) -> Any:
    return value.state_dict() if hasattr(value, "state_dict") else value
