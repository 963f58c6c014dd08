"""Dark experience replay ++ (Buzzega et al. 2020, arXiv:2004.07211)."""

from lord.config.types import NonNegative
from lord.methods.method import Batch, BufferConfig, Rehearsal, Scalars
from lord.methods.terms import cross_entropy_for, dark_experience

PUBLISHED = {
    "s-cifar10": {
        200: {"alpha": 0.1, "beta": 0.5},
        500: {"alpha": 0.2, "beta": 0.5},
        5120: {"alpha": 0.1, "beta": 1.0},
    },
    "s-tinyimg": {
        200: {"alpha": 0.1, "beta": 1.0},
        500: {"alpha": 0.2, "beta": 0.5},
        5120: {"alpha": 0.1, "beta": 0.5},
    },
}
PUBLISHED["s-cifar100-10x10"] = {size: {"alpha": 0.1, "beta": 0.5} for size in (500, 2000)}
"""Weights by stream and buffer size, of DER++ and of LoRD's rehearsal alike; those for ten tasks of
CIFAR-100 were found with milestones of the learning rate, which there are none of here."""


class DERpp(Rehearsal):
    """Replays stored logits and labels, on two independent draws from a reservoir.

    Loss: CE(stream) + alpha MSE(logits of draw 1, stored) + beta CE(draw 2). The logits stored are
    the training-mode ones of the augmented image.
    """

    name = "der++"
    PRESETS = PUBLISHED

    class Config(BufferConfig, frozen=True):
        alpha: NonNegative = 0.2
        """Weight of the distance to stored logits."""
        beta: NonNegative = 0.5
        """Weight of the replayed labels."""
        tau: NonNegative = 0.0
        """Strength of logit adjustment, as in er-las; none in the paper."""

    def step(self, batch: Batch) -> Scalars:
        c = self.config
        draws = [self.buffer.draw(c.replay) for _ in range(2)] if len(self.buffer) else []
        labels = [batch.labels, *(draw.labels for draw in draws[1:])]
        classify = cross_entropy_for(labels, self.context.classes, c.tau)
        logits = self.student(self.augment(batch.images))
        loss = classify(logits, batch.labels)
        if draws:
            again = [self.student(self.augment(draw.images)) for draw in draws]
            loss = loss + dark_experience(again, draws, c.alpha, c.beta, classify)
        self.descent.update(loss)
        self.buffer.offer(images=batch.images, labels=batch.labels, logits=logits.detach().float())
        return {"loss": loss.detach()}
