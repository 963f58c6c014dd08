"""Rehearsal used sparingly: when the buffer is replayed, and what it takes in."""

from types import SimpleNamespace
from typing import Annotated, Any, ClassVar, Literal

import torch.nn.functional as F
from msgspec import Meta
from torch import Tensor

from lord.config import UserError
from lord.config.types import Count, Natural, NonNegative, Probability, ProperFraction
from lord.methods.method import Batch, BufferConfig, Context, Rehearsal
from lord.rehearsal import KEEPING, Buffer, LossAware, admission_probability, chance, is_due
from lord.streams import Task


class SparseConfig(BufferConfig, frozen=True):
    """Settings of the third redundancy, the rehearsal's."""

    admission: NonNegative = 0.75
    """A batch is offered to the buffer with chance exp(-admission * the share of the network that
    stands for the past): 0 offers all."""
    keep: Literal["reservoir", "balanced", "losses"] = "reservoir"
    """What is kept of the rows offered: any, alike; as many of each class as came, up to an equal
    share; rather those of small classes and of large loss."""
    draws: Annotated[int, Meta(ge=1, le=2)] = 2
    """Draws a rehearsal: 2 as in DER++, or 1 for both terms on one draw."""
    alpha: NonNegative = 0.2
    """Weight of the distance to stored logits."""
    beta: NonNegative = 0.5
    """Weight of the replayed labels; where passes are merged, every label weighs the same."""
    rho: Probability = 1.0
    """Chance that the buffer is replayed at a step."""
    every: Count = 1
    """The buffer is replayed at every so many steps, at most."""
    start: Natural = 0
    """Task from which the buffer is replayed, counted from 0."""
    late: ProperFraction = 0.0
    """Share of a task's steps before the buffer is replayed in it."""
    merged: bool = False
    """Stream and draw pass the student together, so that batch-norm sees both."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.merged and self.draws != 1:
            raise UserError(f"draws: 1 where passes are merged, got {self.draws}")


class SparseRehearsal(Rehearsal):
    """A method that replays stored logits and labels now and then."""

    STATE: ClassVar[tuple[str, ...]] = ("task", "steps", "begun", "length")

    def __init__(self, config: Any, context: Context) -> None:
        super().__init__(config, context)
        self.buffer: Buffer = KEEPING[config.keep](config.buffer, self.generator)
        self.task = self.steps = self.begun = 0
        self.length = 1

    def begin_task(self, task: Task) -> None:
        super().begin_task(task)
        self.task, self.begun, self.length = task.index, self.steps, self.context.steps(task)

    def shorten(self, steps: int) -> None:
        super().shorten(steps)
        self.length = steps

    def draw(self) -> list[SimpleNamespace]:
        """What is replayed at this step."""
        c = self.config
        due = is_due(self.steps, rho=c.rho, every=c.every, generator=self.generator)
        early = self.task < c.start or self.steps - self.begun < c.late * self.length
        number = c.draws if due and not early and len(self.buffer) else 0
        return [self.buffer.draw(c.replay) for _ in range(number)]

    def offer(self, batch: Batch, logits: Tensor, share: float) -> None:
        """Offer a batch to the buffer, by chance.

        Args:
            logits: of its images, as they were augmented.
            share: of the network that stands for the past.
        """
        if not chance(admission_probability(share, self.config.admission), self.generator):
            return
        rows = {"images": batch.images, "labels": batch.labels, "logits": logits.detach().float()}
        if isinstance(self.buffer, LossAware):
            rows["losses"] = losses(rows["logits"], batch.labels)
        self.buffer.offer(**rows)

    def note(self, draws: list[SimpleNamespace], logits: list[Tensor]) -> None:
        """Tell a buffer that goes by losses the present ones of what was replayed."""
        if isinstance(self.buffer, LossAware):
            for draw, own in zip(draws, logits, strict=True):
                self.buffer.refresh(draw.rows, losses(own, draw.labels))


def losses(logits: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(logits.detach().float(), labels, reduction="none")
