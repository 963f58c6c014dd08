"""Experience replay (Chaudhry et al. 2019, arXiv:1902.10486)."""

from typing import Any

import torch
import torch.nn.functional as F

from lord.methods.method import Batch, BufferConfig, Method, Scalars, Setting
from lord.rehearsal import Buffer
from lord.streams import Task


class ER(Method):
    """Each batch of the stream is joined by a minibatch from the buffer.

    One cross-entropy over both, so each image weighs the same; a reservoir of raw images.
    """

    name = "er"
    Config = BufferConfig
    PRESETS = {
        "s-cifar10": {size: {"lr": 0.1} for size in (200, 500, 5120)},
        "s-cifar100": {size: {"lr": 0.1} for size in (200, 500, 5120)},
        "s-tinyimg": {200: {"lr": 0.1}, 500: {"lr": 0.03}, 5120: {"lr": 0.1}},
    }

    def __init__(self, config: Any, setting: Setting) -> None:
        super().__init__(config, setting)
        self.buffer: Buffer = Buffer(config.buffer, self.generator)

    def begin_task(self, task: Task) -> None:
        self.descent.begin(self.setting.steps(task))

    def step(self, batch: Batch) -> Scalars:
        x, y = self.augment(batch.images), batch.labels
        if len(self.buffer):
            old = self.buffer.draw(self.config.replay)
            x, y = torch.cat([x, self.augment(old.images)]), torch.cat([y, old.labels])
        loss = F.cross_entropy(self.student(x), y)
        self.descent.update(loss)
        self.buffer.offer(images=batch.images, labels=batch.labels)
        return {"loss": loss.detach()}
