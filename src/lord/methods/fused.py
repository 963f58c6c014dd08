"""LoRD beside a closed-form head: the student is trained only where held-out images gain."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from msgspec import Meta
from torch import Tensor, nn

from lord.config.types import Natural, NonNegative
from lord.methods.context import Batch, Context
from lord.methods.fusion import HEAD_ONLY, Fusion, fit_fusion, gain
from lord.methods.lord import LoRD, LoRDConfig
from lord.methods.method import Scalars, Traits
from lord.methods.optim import Progress
from lord.methods.outputs import Replaced, grouped
from lord.methods.slda import SLDA, SLDAConfig
from lord.streams import Task

WRONG, ENOUGH = 10, 200
"""The student's training can end once the head is wrong on 10 of the images kept, or once 200 are
kept. With fewer, the gain is not known well enough."""
CHUNK = 256
"""Images in one call of the backbone."""


class FusedConfig(LoRDConfig, frozen=True):
    """Settings of LoRD beside a closed-form head."""

    student_size: Annotated[int, Meta(ge=8, le=256)] = 32
    """Height and width in pixels to which larger images are resized for the student."""
    kept: Natural = 20
    """Most images of a class that the student does not learn. They decide on its training."""
    pays: NonNegative = 1.0
    """Standard errors by which the student must lower the loss on the images kept, after a task.
    Otherwise it is not trained in later tasks. 0 always trains it."""


class LoRDFused(LoRD):
    """Fuse LoRD's student with an SLDA head over the backbone's features.

    The head learns each task first, in closed form. The student learns small versions of the
    images. Log-probabilities of both are added, with two weights that are fitted on images kept
    apart. After each task, they decide whether the student goes on learning. It is not reviewed
    within a task, because it gains only when the learning rate has fallen. It is narrow in the
    first tasks, so these cost little.

    >>> import lord
    >>> settings = {"subset": 0.2, "epochs": 1, "width": 4, "candidates": 8}
    >>> record = lord.run(lord.compose("lord-fused", settings))
    >>> len(record.matrices.class_il)
    5
    """

    name = "lord-fused"
    traits = Traits(ahead=True, waits=True, features="beside")
    Config = FusedConfig
    config: FusedConfig
    STATE = ("level", "head", "held", "training", "weights")

    def __init__(self, config: FusedConfig, context: Context) -> None:
        side = student_side(config.student_size, context.shape)
        shape = (context.shape[0], side, side) if side else context.shape
        super().__init__(config, replace(context, shape=shape))
        self.head = KeepingSLDA(config, context, self.small)
        self.held = torch.empty(0, dtype=torch.bool)
        """Whether each image of the present task is kept from the student."""
        self.training = True
        """Whether the student is trained."""
        self.weights: tuple[float, ...] = tuple(HEAD_ONLY)
        """Weights of the head's and the student's log-probabilities."""

    def small(self, images: Tensor) -> Tensor:
        """Return N x C x H x W uint8 images as the student gets them."""
        _, height, width = self.context.shape
        return resized(images, (height, width)).to(torch.uint8)

    @property
    def resting(self) -> bool:
        return not self.training

    def begin_task(self, task: Task) -> None:
        self.head.begin_task(task)
        self.head.end_task(task)  # all images at once
        self.held = self.head.is_kept(task.images)
        if self.training:
            super().begin_task(task)  # a teacher search, and growth

    def step(self, batch: Batch, progress: Progress) -> Scalars:
        rows = (~self.held[batch.places.cpu()]).nonzero().flatten().to(batch.labels.device)
        if not self.training or len(rows) < 2:
            return {"loss": torch.zeros((), device=self.device)}
        images = self.small(batch.images[rows])
        return super().step(Batch(images, batch.labels[rows], batch.places[rows]), progress)

    def end_task(self, task: Task) -> None:
        head, student, labels = self._on_kept()
        fitted = fit_fusion(head, student, labels)
        mean, error = gain(fitted, head, student, labels)
        self.weights = tuple(fitted if mean > error else HEAD_ONLY)
        wrong = int((head.argmax(1) != labels).sum())
        if wrong >= WRONG or len(labels) >= ENOUGH:
            self.training = not self.config.pays or mean > self.config.pays * error

    @torch.no_grad()
    def predict(self, images: Tensor) -> Tensor:
        head = self._seen(self.head.predict(images))
        fusion = Fusion(*self.weights)
        if not fusion.student:
            return head
        student = super().predict(self.small(images))
        return fusion(head.log_softmax(1), self._seen(student).log_softmax(1))

    def bytes_to_come(self, images: int) -> int:
        """Return the bytes of head and student, and of ``held``."""
        held = images - len(self.held)
        return super().bytes_to_come(images) + self.head.bytes_to_come(images) + held

    def features(self, images: Tensor) -> Tensor:
        return self.head.features(images)

    def unknown_scores(self, images: Tensor) -> Tensor:
        return self.head.unknown_scores(images)

    def known_scores(self) -> Tensor:
        return self.head.known_scores()

    def fused(self) -> "FusedStudent | None":
        """Return what predicts, as one module. It is None where the head predicts alone."""
        fusion, seen = Fusion(*self.weights), self.head.sums.counts > 0
        if not fusion.student:
            return None
        _, height, width = self.context.shape
        seen = (seen if seen.any() else ~seen).to(self.device)
        sides, replaced = (height, width), self.replaced
        return FusedStudent(self.head.student, self.predictor, fusion, seen, sides, replaced)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self.held = self.held.cpu()

    def _seen(self, logits: Tensor) -> Tensor:
        """Return logits with those of classes that the head has not seen set very low."""
        seen = (self.head.sums.counts > 0).to(logits.device)
        return torch.where(seen, logits, -1e4) if seen.any() else logits

    @torch.no_grad()
    def _on_kept(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return log-probabilities of head and student on the images kept, and their labels.

        Neither has learned these images.
        """
        kept, classes = self.head.kept, self.context.classes
        if not len(kept["labels"]):
            return torch.zeros(0, classes), torch.zeros(0, classes), kept["labels"]
        head = self._seen(self.head.held_logits()).log_softmax(1)
        parts = kept["images"].to(self.device).split(CHUNK)
        student = torch.cat([LoRD.predict(self, part) for part in parts])
        return head, self._seen(student.float().cpu()).log_softmax(1), kept["labels"]


class KeepingSLDA(SLDA):
    """An SLDA head that also keeps the images of its held-out rows, as the student gets them."""

    def __init__(self, config: FusedConfig, context: Context, small: Any) -> None:
        width = torch.Size(context.backbone.shape if context.backbone else context.shape).numel()
        device = next(context.network.parameters()).device
        network = nn.Linear(width, context.classes, device=device)
        self.small = small
        super().__init__(SLDAConfig(kept=config.kept), replace(context, network=network))

    def columns(self, images: Tensor, lifted: Tensor) -> dict[str, Tensor]:
        return super().columns(images, lifted) | {"images": self.small(images)}


class FusedStudent(nn.Module):
    """A head over features and a student on small images, whose log-probabilities are added.

    Args:
        head: from N x features to N x classes logits.
        student: from normalised N x C x H x W images to N x classes logits.
        fusion: weights of the two.
        seen: classes bool. The student's logits of other classes are set very low.
        sides: height and width of the student's images in pixels.
        replaced: outputs without a class, see ``Replaced``.
    """

    weights: Tensor
    seen: Tensor

    def __init__(
        self,
        head: nn.Module,
        student: nn.Module,
        fusion: Fusion,
        seen: Tensor,
        sides: tuple[int, int],
        replaced: Replaced | None = None,
    ) -> None:
        super().__init__()
        self.head, self.student, self.sides = head, student, sides
        self.replaced = replaced or {}
        self.register_buffer("weights", torch.tensor(fusion, device=seen.device))
        self.register_buffer("seen", seen)

    def small(self, images: Tensor) -> Tensor:
        """Return N x C x H x W uint8 images as the student gets them, as whole numbers."""
        return resized(images, self.sides)

    def forward(self, features: Tensor, images: Tensor) -> Tensor:
        head = self.head(features).log_softmax(1)
        student = grouped(self.student(images), self.replaced)
        student = torch.where(self.seen, student, -1e4).log_softmax(1)
        return self.weights[0] * head + self.weights[1] * student


def resized(images: Tensor, sides: tuple[int, int]) -> Tensor:
    """Return N x C x H x W images of another height and width, as whole numbers from 0 to 255."""
    if images.shape[2:] == sides:
        return images
    x = F.interpolate(images.float(), sides, mode="bilinear", antialias=True)
    return x.round().clamp(0, 255)


def student_side(size: int, shape: tuple[int, ...]) -> int | None:
    """Return the side to which images of a shape are resized; None if they are small enough."""
    return size if max(shape[1:]) > size else None
