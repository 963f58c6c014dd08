"""LoRD with logit adjustment by the class shares of about the last fifty steps.

    lord compare --plugin examples/expected_shares.py \\
        --methods lord:tau=1:rho=0.25,lord-expected:tau=1:rho=0.25

If only some steps rehearse, the other steps have no image of an old class. ``lord`` adjusts by the
shares within a step, so the loss of those steps leaves the old classes out. This method keeps them
in the loss, with their share over many steps.

The step is that of ``lord`` without ``merged``.
"""

from functools import partial

import torch
from torch import Tensor

from lord.config import UserError
from lord.config.types import Positive
from lord.methods import Batch, Context, Progress, Scalars, register
from lord.methods.lord import LoRD, LoRDConfig
from lord.methods.terms import (
    adjusted_cross_entropy,
    class_shares,
    dark_experience,
    distillation,
)
from lord.rehearsal import admission_probability, chance


class ExpectedSharesConfig(LoRDConfig, frozen=True):
    """Settings of LoRD, with logit adjustment on and passes that are not merged."""

    tau: Positive = 1.0
    """Strength of logit adjustment."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.merged:
            raise UserError(field="merged", given=True, allowed="false")


@register
class ExpectedShares(LoRD):
    """LoRD with logit adjustment by the class shares of many steps."""

    name = "lord-expected"
    Config = ExpectedSharesConfig
    STATE = (*LoRD.STATE, "shares")

    def __init__(self, config: ExpectedSharesConfig, context: Context) -> None:
        super().__init__(config, context)
        self.shares = torch.zeros(context.classes, device=self.device)

    def step(self, batch: Batch, progress: Progress) -> Scalars:
        c, x, y = self.config, self.augment(batch.images), batch.labels
        replay = chance(c.rho, self.generator) and len(self.buffer)
        draws = [self.buffer.draw(c.replay) for _ in range(c.draws)] if replay else []
        old = [self.augment(draw.images) for draw in draws]
        self._count(torch.cat([y, *(draw.labels for draw in draws[-1:])]))
        classify = partial(adjusted_cross_entropy, shares=self.shares, tau=c.tau)
        logits = self.student(x)
        terms = [self.optimizer.backward(classify(logits, y))]
        if draws:
            again = [self.student(images) for images in old]
            rehearsal = dark_experience(again, draws, c.alpha, c.beta, classify)
            terms.append(self.optimizer.backward(rehearsal))
        if self.teacher and c.distill:
            distance = distillation(self.channels, self.student, self.teacher, x)
            terms.append(self.optimizer.backward(c.distill * distance))
        self.optimizer.step(progress)
        kappa = self.teacher.share if self.teacher else 0.0
        if chance(admission_probability(kappa, c.admission), self.generator):
            stored = logits.detach().float()
            self.buffer.offer(images=batch.images, labels=y, logits=stored)
        return {"loss": torch.stack(terms).sum()}

    def _count(self, labels: Tensor) -> None:
        """Add a step's labels to the moving average. A step with more labels has more weight."""
        counts = class_shares(labels, len(self.shares)) * len(labels)
        self.shares = 0.98 * self.shares + 0.02 * counts  # only their proportions matter
