"""Experience replay with logit-adjusted softmax (Huang et al. 2024, arXiv:2311.06460)."""

from lord.config.types import NonNegative
from lord.methods.context import Batch
from lord.methods.method import BufferConfig, Rehearsal, Scalars
from lord.methods.optim import Progress
from lord.methods.terms import cross_entropy_for


class ERLASConfig(BufferConfig, frozen=True):
    """Settings of ER-LAS."""

    tau: NonNegative = 1.0
    """Strength of the adjustment."""


class ERLAS(Rehearsal[ERLASConfig]):
    """ER with cross-entropy on logits + tau log(share of each class in the step).

    The newest classes are the most frequent in a step. Without the adjustment, the network would
    favour them because of their frequency. Predictions use the plain logits.

    >>> import lord
    >>> config = lord.compose("er-las", {"epochs": 1, "width": 4, "subset": 0.1})
    >>> len(lord.run(config).matrices.class_il)
    5
    """

    name = "er-las"

    def step(self, batch: Batch, progress: Progress) -> Scalars:
        x, y, _ = self.joined(batch)
        loss = cross_entropy_for([y], self.context.classes, self.config.tau)(self.student(x), y)
        self.optimizer.update(loss, progress)
        self.buffer.offer(images=batch.images, labels=batch.labels)
        return {"loss": loss.detach()}
