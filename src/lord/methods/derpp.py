"""Dark experience replay ++ (Buzzega et al. 2020, arXiv:2004.07211)."""

from lord.config.types import NonNegative
from lord.methods.context import Batch
from lord.methods.method import BufferConfig, Published, Rehearsal, Scalars
from lord.methods.optim import Progress
from lord.methods.terms import cross_entropy_for, dark_experience

DERPP_PUBLISHED: Published = {
    "s-cifar10": {
        200: {"alpha": 0.1, "beta": 0.5},
        500: {"alpha": 0.2, "beta": 0.5},
        5120: {"alpha": 0.1, "beta": 1.0},
    },
    "s-cifar100-10x10": {size: {"alpha": 0.1, "beta": 0.5} for size in (500, 2000)},
    "s-tinyimg": {
        200: {"alpha": 0.1, "beta": 1.0},
        500: {"alpha": 0.2, "beta": 0.5},
        5120: {"alpha": 0.1, "beta": 0.5},
    },
}
"""Weights by stream and buffer size, for DER++ and for the rehearsal of LoRD. Those for ten tasks
of CIFAR-100 were found with learning-rate milestones, which are not used here."""


class DERppConfig(BufferConfig, frozen=True):
    """Settings of DER++."""

    alpha: NonNegative = 0.2
    """Weight of the distance to stored logits."""
    beta: NonNegative = 0.5
    """Weight of the replayed labels."""
    tau: NonNegative = 0.0
    """Strength of logit adjustment, as in er-las. The paper has none."""


class DERpp(Rehearsal[DERppConfig]):
    """Replay stored logits and labels, in two independent draws from a reservoir.

    Loss: CE(stream) + alpha MSE(logits of draw 1, stored logits) + beta CE(draw 2). The stored
    logits are those of the augmented image, in training mode.

    >>> import lord
    >>> config = lord.compose("der++", {"epochs": 1, "width": 4, "subset": 0.1})
    >>> len(lord.run(config).matrices.class_il)
    5
    """

    name = "der++"
    PUBLISHED = DERPP_PUBLISHED

    def step(self, batch: Batch, progress: Progress) -> Scalars:
        c = self.config
        draws = [self.buffer.draw(c.replay) for _ in range(2)] if len(self.buffer) else []
        labels = [batch.labels, *(draw.labels for draw in draws[1:])]
        classify = cross_entropy_for(labels, self.context.classes, c.tau)
        logits = self.student(self.augment(batch.images))
        loss = classify(logits, batch.labels)
        if draws:
            again = [self.student(self.augment(draw.images)) for draw in draws]
            loss = loss + dark_experience(again, draws, c.alpha, c.beta, classify)
        self.optimizer.update(loss, progress)
        self.buffer.offer(images=batch.images, labels=batch.labels, logits=logits.detach().float())
        return {"loss": loss.detach()}
