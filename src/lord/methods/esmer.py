"""Error-sensitivity modulated experience replay (Sarfraz et al. 2023, arXiv:2302.11344)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from lord.config.types import NonNegative, Positive, Probability, ProperFraction, Share
from lord.methods.mean_er import MeanER
from lord.methods.method import Batch, BufferConfig, Context, Scalars
from lord.streams import Task

NEAR = 0.99
"""Decay of the running mean of losses."""


class ESMER(MeanER):
    """Beside an average of the weights, images with unusually large losses count for less.

    The average's loss on each image of the stream, over a margin times the running mean of those
    losses: then the image's weight is that mean over its loss, and it is not offered to the
    buffer. Loss: weighted CE(stream) + CE(draw) + consistency * MSE(logits of the draw, the
    average's). The average predicts. Departure: what the authors do in the first of a task's 50
    epochs (nothing is offered, the mean stays as it is) is done in the first fiftieth of a task's
    steps, so that shorter training works too.
    """

    name = "esmer"
    WAITS = True
    STATE = ("average", "steps", "mean", "place", "length")
    PRESETS = {
        "s-cifar10": {
            100: {"lr": 0.03, "margin": 0.9, "rate": 0.1},
            200: {"lr": 0.03, "margin": 1.2, "rate": 0.1},
        },
        "s-cifar100": {200: {"lr": 0.03, "margin": 1.0, "rate": 0.07}},
    }

    class Config(BufferConfig, frozen=True):
        consistency: NonNegative = 0.15
        """Weight of the distance to the averaged network's logits."""
        decay: ProperFraction = 0.999
        """Of the moving average, per update."""
        rate: Probability = 0.1
        """Chance that the average is updated at a step."""
        margin: Positive = 1.2
        """Losses above this many times their running mean are unusual."""
        settling: Share = 0.02
        """Share of a task's steps before anything is offered or the running mean moves."""

    def __init__(self, config: BufferConfig, context: Context) -> None:
        super().__init__(config, context)
        self.mean = torch.zeros(())
        self.place, self.length = 0, 1

    def begin_task(self, task: Task) -> None:
        super().begin_task(task)
        self.place, self.length = 0, self.context.steps(task)

    def shorten(self, steps: int) -> None:
        super().shorten(steps)
        self.length = steps

    def step(self, batch: Batch) -> Scalars:
        c = self.config
        x, y = self.augment(batch.images), batch.labels
        unusual = F.cross_entropy(self.average(x), y, reduction="none").float()
        self.mean = self.mean.to(unusual.device)
        known = (self.mean > 0) & (unusual >= c.margin * self.mean)
        weights = torch.where(known, self.mean / unusual.clamp(min=1e-12), 1.0)
        losses = F.cross_entropy(self.student(x), y, reduction="none")
        loss = (weights * losses).mean()
        if len(self.buffer) > 1:  # batch-norm cannot take one
            old = self.buffer.draw(c.replay)
            again = self.augment(old.images)
            logits = self.student(again)
            loss = loss + F.cross_entropy(logits, old.labels)
            loss = loss + c.consistency * F.mse_loss(logits, self.average(again))
        self.descent.update(loss)
        self.follow()
        self.steps += 1
        self.place += 1
        if self.place > c.settling * self.length:
            usual = (unusual <= c.margin * self.mean).nonzero().flatten()
            self.mean = self.followed(unusual)
            if len(usual):
                self.buffer.offer(images=batch.images[usual], labels=y[usual])
        return {"loss": loss.detach()}

    def followed(self, losses: Tensor) -> Tensor:
        """The running mean after a batch, less what is a deviation above that batch's mean."""
        kept = losses <= losses.mean() + losses.std()
        new = (losses * kept).sum() / kept.sum()
        return torch.where(self.mean > 0, NEAR * self.mean + (1 - NEAR) * new, new)
