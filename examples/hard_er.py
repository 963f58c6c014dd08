"""Add a method: experience replay that draws more samples than it needs and keeps the hardest.

    lord compare --plugin examples/hard_er.py --methods hard-er,er
    lord compare --plugin examples/hard_er.py --methods hard-er,hard-er:pool=128

The whole method is ``step``: it draws, computes its loss, updates the student and offers the batch
to the buffer. The command line and configuration files accept the settings of ``HardERConfig`` and
check their types. FLOPs, seconds and bytes are counted from outside, so the extra forward pass
counts too.
"""

import torch
import torch.nn.functional as F

from lord.config.types import Count
from lord.methods import Batch, BufferConfig, Progress, Rehearsal, Scalars, register


class HardERConfig(BufferConfig, frozen=True):
    """Settings of ER and the size of the pool."""

    pool: Count = 64
    """Number of samples to draw. The hardest of them are replayed."""


@register
class HardER(Rehearsal[HardERConfig]):
    """Replay the samples with the largest loss among those drawn."""

    name = "hard-er"
    PUBLISHED = {"s-cifar10": {500: {"lr": 0.1}}}

    def step(self, batch: Batch, progress: Progress) -> Scalars:
        x, y = self.augment(batch.images), batch.labels
        if len(self.buffer):
            old = self.buffer.draw(self.config.pool)
            again = self.augment(old.images)
            with torch.no_grad():
                hardness = F.cross_entropy(self.student(again), old.labels, reduction="none")
            hardest = hardness.topk(min(self.config.replay, len(hardness))).indices
            x, y = torch.cat([x, again[hardest]]), torch.cat([y, old.labels[hardest]])
        loss = F.cross_entropy(self.student(x), y)
        self.optimizer.update(loss, progress)
        self.buffer.offer(images=batch.images, labels=batch.labels)
        return {"loss": loss.detach()}
