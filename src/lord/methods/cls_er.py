"""CLS-ER: replay with two averages of the weights (Arani et al. 2022, arXiv:2201.12604)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lord.config.types import Probability
from lord.methods.averages import Average
from lord.methods.context import Batch, Context
from lord.methods.mean_er import STABLE, MeanERConfig, published
from lord.methods.method import Rehearsal, Scalars
from lord.methods.optim import Progress
from lord.methods.terms import cross_entropy_for
from lord.rehearsal import chance

PLASTIC = {
    "s-cifar10": {200: 0.3, 500: 0.9, 5120: 1.0},
    "s-cifar100": {200: 0.08, 500: 0.08, 5120: 0.08},
    "s-tinyimg": {200: 0.08, 500: 0.08, 5120: 0.08},
}


class CLSERConfig(MeanERConfig, frozen=True):
    """Settings of CLS-ER."""

    plastic_rate: Probability = 0.9
    """Probability that the plastic average is updated at a step."""


class CLSER(Rehearsal[CLSERConfig]):
    """ER with two averages of the weights: a plastic one, updated often, and a stable one.

    Loss: CE(stream and draw as one batch) + consistency * MSE(logits of the draw, targets). For
    each replayed image, the target comes from the average that gives its label the higher
    probability. The stable average predicts. Departures as for Mean-ER.

    >>> import lord
    >>> config = lord.compose("cls-er", {"epochs": 1, "width": 4, "subset": 0.1})
    >>> len(lord.run(config).matrices.class_il)
    5
    """

    name = "cls-er"
    STATE = ("average", "plastic", "steps")
    PUBLISHED = {
        stream: {
            size: published(stream, size) | {"plastic_rate": PLASTIC[stream][size]}
            for size in STABLE[stream]
        }
        for stream in STABLE
    }

    def __init__(self, config: CLSERConfig, context: Context) -> None:
        super().__init__(config, context)
        self.average = Average(self.student, config.decay)
        """The stable average."""
        self.plastic = Average(self.student, config.decay)
        self.steps = 0

    @property
    def predictor(self) -> nn.Module:
        return self.average.module

    def step(self, batch: Batch, progress: Progress) -> Scalars:
        c, size = self.config, len(batch.labels)
        x, y, old = self.joined(batch)
        logits = self.student(x)
        loss = cross_entropy_for([y], self.context.classes, c.tau)(logits, y)
        if old:
            targets = self.targets(x[size:], old.labels)
            loss = loss + c.consistency * F.mse_loss(logits[size:], targets)
        self.optimizer.update(loss, progress)
        for average, rate in ((self.average, c.rate), (self.plastic, c.plastic_rate)):
            if chance(rate, self.generator):
                average.update(self.student, self.steps)
        self.steps += 1
        self.buffer.offer(images=batch.images, labels=batch.labels)
        return {"loss": loss.detach()}

    def targets(self, x: Tensor, labels: Tensor) -> Tensor:
        """Return, for each image, the logits of the average that knows its label better."""
        stable, plastic = self.average(x), self.plastic(x)
        at = labels[:, None]
        better = stable.softmax(1).gather(1, at) > plastic.softmax(1).gather(1, at)
        return torch.where(better, stable, plastic)
