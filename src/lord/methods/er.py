"""Experience replay (Chaudhry et al. 2019, arXiv:1902.10486)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from lord.methods.method import Batch, Rehearsal, Scalars


class ER(Rehearsal):
    """Each batch of the stream is joined by a minibatch from the buffer.

    One cross-entropy over both, so each image weighs the same; a reservoir of raw images.
    """

    name = "er"
    PRESETS = {
        "s-cifar10": {size: {"lr": 0.1} for size in (200, 500, 5120)},
        "s-cifar100": {size: {"lr": 0.1} for size in (200, 500, 5120)},
        "s-tinyimg": {200: {"lr": 0.1}, 500: {"lr": 0.03}, 5120: {"lr": 0.1}},
    }

    def step(self, batch: Batch) -> Scalars:
        x, y = self.mixed(batch)
        loss = F.cross_entropy(self.student(x), y)
        self.descent.update(loss)
        self.buffer.offer(images=batch.images, labels=batch.labels)
        return {"loss": loss.detach()}

    def mixed(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The batch and a draw as one, augmented: images and labels."""
        x, y = self.augment(batch.images), batch.labels
        if len(self.buffer):
            old = self.buffer.draw(self.config.replay)
            x, y = torch.cat([x, self.augment(old.images)]), torch.cat([y, old.labels])
        return x, y
