"""A method of your own: ER that replays the samples it is worst at, of twice as many drawn.

    lord compare --plugin examples/hard_er.py --methods hard-er,er
    lord compare --plugin examples/hard_er.py --methods hard-er,hard-er:pool=128

``step`` is the whole method: it draws, goes back through its loss and offers to the buffer. The
settings in ``Config`` can be given on the command line and in files, and are checked by their
types. FLOPs, seconds and bytes are counted from outside: also those of the extra forward pass.
"""

import torch
import torch.nn.functional as F

from lord.config.types import Count
from lord.methods import Batch, BufferConfig, Rehearsal, Scalars, register


@register
class HardER(Rehearsal):
    """ER on the hardest of more samples than it replays."""

    name = "hard-er"
    PRESETS = {"s-cifar10": {500: {"lr": 0.1}}}

    class Config(BufferConfig, frozen=True):
        pool: Count = 64
        """Samples drawn, of which the hardest are replayed."""

    def step(self, batch: Batch) -> Scalars:
        x, y = self.augment(batch.images), batch.labels
        if len(self.buffer):
            old = self.buffer.draw(self.config.pool)
            again = self.augment(old.images)
            with torch.no_grad():
                hardness = F.cross_entropy(self.student(again), old.labels, reduction="none")
            worst = hardness.topk(min(self.config.replay, len(hardness))).indices
            x, y = torch.cat([x, again[worst]]), torch.cat([y, old.labels[worst]])
        loss = F.cross_entropy(self.student(x), y)
        self.descent.update(loss)
        self.buffer.offer(images=batch.images, labels=batch.labels)
        return {"loss": loss.detach()}
