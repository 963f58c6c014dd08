"""Experience replay (Chaudhry et al. 2019, arXiv:1902.10486)."""

import torch.nn.functional as F

from lord.methods.context import Batch
from lord.methods.method import BufferConfig, Rehearsal, Scalars
from lord.methods.optim import Progress


class ER(Rehearsal[BufferConfig]):
    """Join each batch of the stream with a draw from a reservoir of raw images.

    One cross-entropy covers both, so each image has the same weight.

    >>> import lord
    >>> config = lord.compose("er", {"epochs": 1, "width": 4, "subset": 0.1})
    >>> len(lord.run(config).matrices.class_il)
    5
    """

    name = "er"
    PUBLISHED = {
        "s-cifar10": {size: {"lr": 0.1} for size in (200, 500, 5120)},
        "s-cifar100": {size: {"lr": 0.1} for size in (200, 500, 5120)},
        "s-tinyimg": {200: {"lr": 0.1}, 500: {"lr": 0.03}, 5120: {"lr": 0.1}},
    }

    def step(self, batch: Batch, progress: Progress) -> Scalars:
        x, y, _ = self.joined(batch)
        loss = F.cross_entropy(self.student(x), y)
        self.optimizer.update(loss, progress)
        self.buffer.offer(images=batch.images, labels=batch.labels)
        return {"loss": loss.detach()}
