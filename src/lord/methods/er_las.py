"""Experience replay with logit-adjusted softmax (Huang et al. 2024, arXiv:2311.06460)."""

from lord.config.types import NonNegative
from lord.methods.er import ER
from lord.methods.method import Batch, BufferConfig, Scalars
from lord.methods.terms import cross_entropy_for


class ERLAS(ER):
    """ER whose cross-entropy is taken on logits + tau log(share of each class in the step).

    The newest classes, being the most frequent in a step, no longer win by frequency alone.
    Nothing is added when predicting. Shares are those of the step's own stream batch and draw.
    """

    name = "er-las"

    class Config(BufferConfig, frozen=True):
        tau: NonNegative = 1.0
        """Strength of the adjustment."""

    def step(self, batch: Batch) -> Scalars:
        x, y = self.mixed(batch)
        loss = cross_entropy_for([y], self.context.classes, self.config.tau)(self.student(x), y)
        self.descent.update(loss)
        self.buffer.offer(images=batch.images, labels=batch.labels)
        return {"loss": loss.detach()}
