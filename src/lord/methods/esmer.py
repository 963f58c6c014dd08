"""Error-sensitivity modulated experience replay (Sarfraz et al. 2023, arXiv:2302.11344)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lord.config.types import NonNegative, Positive, Probability, ProperFraction, Share
from lord.methods.averages import Average
from lord.methods.context import Batch, Context
from lord.methods.method import BufferConfig, Rehearsal, Scalars, Traits
from lord.methods.optim import Progress
from lord.rehearsal import chance

LOSS_DECAY = 0.99
"""Decay of the running mean of losses."""


class ESMERConfig(BufferConfig, frozen=True):
    """Settings of ESMER."""

    consistency: NonNegative = 0.15
    """Weight of the distance to the averaged network's logits."""
    decay: ProperFraction = 0.999
    """Decay of the moving average, per update."""
    rate: Probability = 0.1
    """Probability that the average is updated at a step."""
    margin: Positive = 1.2
    """A loss above this many times the running mean of losses is unusual."""
    settling: Share = 0.02
    """Share of a task, at its start, in which no image is offered and the running mean stays."""


class ESMER(Rehearsal[ESMERConfig]):
    """Give less weight to images with unusually large losses, and average the weights.

    The loss of the averaged network on each image of the stream is compared with the running mean
    of these losses. An image with an unusual loss gets the weight mean / loss, and is not offered
    to the buffer. Loss: weighted CE(stream) + CE(draw) + consistency * MSE(logits of the draw,
    those of the averaged network). The averaged network predicts.

    Departure: the authors do not offer images or update the mean in the first of a task's 50
    epochs. Here this is the first fiftieth of a task's steps, so that shorter training works too.
    The published values for S-CIFAR-100 are those of five tasks of twenty classes.

    >>> import lord
    >>> config = lord.compose("esmer", {"epochs": 1, "width": 4, "subset": 0.1})
    >>> len(lord.run(config).matrices.class_il)
    5
    """

    name = "esmer"
    traits = Traits(waits=True)
    STATE = ("average", "steps", "mean")
    PUBLISHED = {
        "s-cifar10": {
            100: {"lr": 0.03, "margin": 0.9, "rate": 0.1},
            200: {"lr": 0.03, "margin": 1.2, "rate": 0.1},
        },
        "s-cifar100": {200: {"lr": 0.03, "margin": 1.0, "rate": 0.07}},
    }

    def __init__(self, config: ESMERConfig, context: Context) -> None:
        super().__init__(config, context)
        self.average = Average(self.student, config.decay)
        self.steps = 0
        self.mean = torch.zeros(())

    @property
    def predictor(self) -> nn.Module:
        return self.average.module

    def step(self, batch: Batch, progress: Progress) -> Scalars:
        c = self.config
        x, y = self.augment(batch.images), batch.labels
        average_losses = F.cross_entropy(self.average(x), y, reduction="none").float()
        self.mean = self.mean.to(average_losses.device)
        unusual = (self.mean > 0) & (average_losses >= c.margin * self.mean)
        weights = torch.where(unusual, self.mean / average_losses.clamp(min=1e-12), 1.0)
        losses = F.cross_entropy(self.student(x), y, reduction="none")
        loss = (weights * losses).mean()
        if len(self.buffer) > 1:  # batch-norm cannot take a single image
            old = self.buffer.draw(c.replay)
            again = self.augment(old.images)
            logits = self.student(again)
            loss = loss + F.cross_entropy(logits, old.labels)
            loss = loss + c.consistency * F.mse_loss(logits, self.average(again))
        self.optimizer.update(loss, progress)
        if chance(c.rate, self.generator):
            self.average.update(self.student, self.steps)
        self.steps += 1
        if progress.done + 1 > c.settling * progress.total:
            usual = (average_losses <= c.margin * self.mean).nonzero().flatten()
            self.mean = self.next_mean(average_losses)
            if len(usual):
                self.buffer.offer(images=batch.images[usual], labels=y[usual])
        return {"loss": loss.detach()}

    def next_mean(self, losses: Tensor) -> Tensor:
        """Return the running mean after a batch.

        Losses more than one standard deviation above the mean of the batch do not count.
        """
        kept = losses <= losses.mean() + losses.std()
        new = (losses * kept).sum() / kept.sum()
        return torch.where(self.mean > 0, LOSS_DECAY * self.mean + (1 - LOSS_DECAY) * new, new)
