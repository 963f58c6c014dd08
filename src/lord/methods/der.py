"""Dark experience replay (Buzzega et al. 2020, arXiv:2004.07211)."""

import torch.nn.functional as F

from lord.config.types import NonNegative
from lord.methods.context import Batch
from lord.methods.method import BufferConfig, Rehearsal, Scalars
from lord.methods.optim import Progress


class DERConfig(BufferConfig, frozen=True):
    """Settings of DER."""

    alpha: NonNegative = 0.3
    """Weight of the distance to stored logits."""


class DER(Rehearsal[DERConfig]):
    """Replay stored logits only: CE(stream) + alpha MSE(logits of a draw, stored logits).

    The stored logits are those of the augmented image, in training mode.

    >>> import lord
    >>> config = lord.compose("der", {"epochs": 1, "width": 4, "subset": 0.1})
    >>> len(lord.run(config).matrices.class_il)
    5
    """

    name = "der"
    PUBLISHED = {
        "s-cifar10": {size: {"alpha": 0.3} for size in (200, 500, 5120)},
        "s-cifar100-10x10": {500: {"alpha": 0.3}, 2000: {"alpha": 0.3}},
        "s-tinyimg": {size: {"alpha": 0.1} for size in (200, 500, 5120)},
    }

    def step(self, batch: Batch, progress: Progress) -> Scalars:
        logits = self.student(self.augment(batch.images))
        loss = F.cross_entropy(logits, batch.labels)
        if len(self.buffer):
            old = self.buffer.draw(self.config.replay)
            distance = F.mse_loss(self.student(self.augment(old.images)), old.logits)
            loss = loss + self.config.alpha * distance
        self.optimizer.update(loss, progress)
        self.buffer.offer(images=batch.images, labels=batch.labels, logits=logits.detach().float())
        return {"loss": loss.detach()}
