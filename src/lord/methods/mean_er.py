"""Mean-ER and CLS-ER: replay beside averaged weights (Arani et al. 2022, arXiv:2201.12604)."""

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lord.config.types import NonNegative, Probability, ProperFraction
from lord.methods.averages import Average
from lord.methods.method import Batch, BufferConfig, Context, Rehearsal, Scalars
from lord.methods.terms import cross_entropy_for
from lord.rehearsal import chance

LEARNING_RATES = {"s-cifar10": 0.1, "s-cifar100": 0.1, "s-tinyimg": 0.05}
WEIGHTS = {"s-cifar10": 0.15, "s-cifar100": 0.1, "s-tinyimg": 0.1}
STABLE = {
    "s-cifar10": {200: 0.1, 500: 0.1, 5120: 0.8},
    "s-cifar100": {200: 0.04, 500: 0.05, 5120: 0.07},
    "s-tinyimg": {200: 0.04, 500: 0.05, 5120: 0.07},
}
PLASTIC = {
    "s-cifar10": {200: 0.3, 500: 0.9, 5120: 1.0},
    "s-cifar100": {200: 0.08, 500: 0.08, 5120: 0.08},
    "s-tinyimg": {200: 0.08, 500: 0.08, 5120: 0.08},
}


def _published(stream: str, size: int) -> dict[str, Any]:
    values: dict[str, Any] = {"lr": LEARNING_RATES[stream], "consistency": WEIGHTS[stream]}
    values |= {"epochs": 50} if stream == "s-tinyimg" else {}
    return values | {"rate": STABLE[stream][size]}


class MeanER(Rehearsal):
    """ER that also keeps the replayed images' logits near those of averaged weights.

    Loss: CE(stream and draw as one batch) + consistency * MSE(logits of the draw, the average's).
    The averaged network predicts. The published ``rate`` is that of CLS-ER's stable average, there
    being none of its own. Departures: the draw's logits are those of the joint pass, where
    the authors' code runs the draw twice.
    """

    name = "mean-er"
    STATE: ClassVar[tuple[str, ...]] = ("average", "steps")
    PRESETS = {
        stream: {size: _published(stream, size) for size in STABLE[stream]} for stream in STABLE
    }

    class Config(BufferConfig, frozen=True):
        consistency: NonNegative = 0.15
        """Weight of the distance to the averaged network's logits."""
        decay: ProperFraction = 0.999
        """Of the moving average, per update."""
        rate: Probability = 0.1
        """Chance that the average is updated at a step."""
        tau: NonNegative = 0.0
        """Strength of logit adjustment, as in er-las; none in the paper."""

    def __init__(self, config: Any, context: Context) -> None:
        super().__init__(config, context)
        self.average = Average(self.student, config.decay)
        self.steps = 0

    @property
    def predictor(self) -> nn.Module:
        return self.average.module

    def step(self, batch: Batch) -> Scalars:
        x, y = self.augment(batch.images), batch.labels
        old = self.buffer.draw(self.config.replay) if len(self.buffer) else None
        again = self.augment(old.images) if old else x[:0]
        labels = torch.cat([y, old.labels]) if old else y
        classify = cross_entropy_for([labels], self.context.classes, self.config.tau)
        logits = self.student(torch.cat([x, again]))
        loss = classify(logits, labels)
        if old:
            wanted = self.remembered(again, old.labels)
            loss = loss + self.config.consistency * F.mse_loss(logits[len(x) :], wanted)
        self.descent.update(loss)
        self.follow()
        self.steps += 1
        self.buffer.offer(images=batch.images, labels=y)
        return {"loss": loss.detach()}

    def remembered(self, x: Tensor, labels: Tensor) -> Tensor:
        """Logits the student should keep near."""
        return self.average(x)

    def follow(self) -> None:
        if chance(self.config.rate, self.generator):
            self.average.update(self.student, self.steps)


class CLSER(MeanER):
    """Mean-ER with two averages, one updated often (plastic) and one seldom (stable).

    For each replayed image, the logits kept near are those of the average that gives its label
    the higher probability. The stable one predicts. Departures as Mean-ER's.
    """

    name = "cls-er"
    STATE = ("average", "plastic", "steps")
    PRESETS = {
        stream: {
            size: _published(stream, size) | {"plastic_rate": PLASTIC[stream][size]}
            for size in STABLE[stream]
        }
        for stream in STABLE
    }

    class Config(MeanER.Config, frozen=True):
        plastic_rate: Probability = 0.9
        """Chance that the plastic average is updated at a step."""

    def __init__(self, config: Any, context: Context) -> None:
        super().__init__(config, context)
        self.plastic = Average(self.student, config.decay)

    def remembered(self, x: Tensor, labels: Tensor) -> Tensor:
        stable, plastic = self.average(x), self.plastic(x)
        at = labels[:, None]
        surer = stable.softmax(1).gather(1, at) > plastic.softmax(1).gather(1, at)
        return torch.where(surer, stable, plastic)

    def follow(self) -> None:
        super().follow()
        if chance(self.config.plastic_rate, self.generator):
            self.plastic.update(self.student, self.steps)
