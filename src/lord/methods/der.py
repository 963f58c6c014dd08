"""Dark experience replay (Buzzega et al. 2020, arXiv:2004.07211)."""

import torch.nn.functional as F

from lord.config.types import NonNegative
from lord.methods.method import Batch, BufferConfig, Rehearsal, Scalars


class DER(Rehearsal):
    """Replays stored logits alone: CE(stream) + alpha MSE(logits of a draw, stored).

    The logits stored are the training-mode ones of the augmented image.
    """

    name = "der"
    PRESETS = {
        "s-cifar10": {size: {"alpha": 0.3} for size in (200, 500, 5120)},
        "s-cifar100-10x10": {500: {"alpha": 0.3}, 2000: {"alpha": 0.3}},
        "s-tinyimg": {size: {"alpha": 0.1} for size in (200, 500, 5120)},
    }

    class Config(BufferConfig, frozen=True):
        alpha: NonNegative = 0.3
        """Weight of the distance to stored logits."""

    def step(self, batch: Batch) -> Scalars:
        logits = self.student(self.augment(batch.images))
        loss = F.cross_entropy(logits, batch.labels)
        if len(self.buffer):
            old = self.buffer.draw(self.config.replay)
            match = F.mse_loss(self.student(self.augment(old.images)), old.logits)
            loss = loss + self.config.alpha * match
        self.descent.update(loss)
        self.buffer.offer(images=batch.images, labels=batch.labels, logits=logits.detach().float())
        return {"loss": loss.detach()}
