"""Mean-ER: replay with an average of the weights (Arani et al. 2022, arXiv:2201.12604)."""

from typing import Any

import torch.nn.functional as F
from torch import nn

from lord.config.types import NonNegative, Probability, ProperFraction
from lord.methods.averages import Average
from lord.methods.context import Batch, Context
from lord.methods.method import BufferConfig, Rehearsal, Scalars
from lord.methods.optim import Progress
from lord.methods.terms import cross_entropy_for
from lord.rehearsal import chance

LEARNING_RATES = {"s-cifar10": 0.1, "s-cifar100": 0.1, "s-tinyimg": 0.05}
WEIGHTS = {"s-cifar10": 0.15, "s-cifar100": 0.1, "s-tinyimg": 0.1}
STABLE = {
    "s-cifar10": {200: 0.1, 500: 0.1, 5120: 0.8},
    "s-cifar100": {200: 0.04, 500: 0.05, 5120: 0.07},
    "s-tinyimg": {200: 0.04, 500: 0.05, 5120: 0.07},
}


def published(stream: str, size: int) -> dict[str, Any]:
    """Return the settings of the paper that Mean-ER and CLS-ER share."""
    values: dict[str, Any] = {"lr": LEARNING_RATES[stream], "consistency": WEIGHTS[stream]}
    values |= {"epochs": 50} if stream == "s-tinyimg" else {}
    return values | {"rate": STABLE[stream][size]}


class MeanERConfig(BufferConfig, frozen=True):
    """Settings of Mean-ER."""

    consistency: NonNegative = 0.15
    """Weight of the distance to the averaged network's logits."""
    decay: ProperFraction = 0.999
    """Decay of the moving average, per update."""
    rate: Probability = 0.1
    """Probability that the average is updated at a step."""
    tau: NonNegative = 0.0
    """Strength of logit adjustment, as in er-las. The paper has none."""


class MeanER(Rehearsal[MeanERConfig]):
    """ER that keeps the logits of replayed images near those of an average of the weights.

    Loss: CE(stream and draw as one batch) + consistency * MSE(logits of the draw, those of the
    averaged network). The averaged network predicts.

    Departures: the logits of the draw are those of the joint pass. The authors' code passes the
    draw twice. The paper has no ``rate`` for Mean-ER, so that of CLS-ER's stable average is used.

    >>> import lord
    >>> config = lord.compose("mean-er", {"epochs": 1, "width": 4, "subset": 0.1})
    >>> len(lord.run(config).matrices.class_il)
    5
    """

    name = "mean-er"
    STATE = ("average", "steps")
    PUBLISHED = {
        stream: {size: published(stream, size) for size in STABLE[stream]} for stream in STABLE
    }

    def __init__(self, config: MeanERConfig, context: Context) -> None:
        super().__init__(config, context)
        self.average = Average(self.student, config.decay)
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
            loss = loss + c.consistency * F.mse_loss(logits[size:], self.average(x[size:]))
        self.optimizer.update(loss, progress)
        if chance(c.rate, self.generator):
            self.average.update(self.student, self.steps)
        self.steps += 1
        self.buffer.offer(images=batch.images, labels=batch.labels)
        return {"loss": loss.detach()}
