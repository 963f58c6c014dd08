"""Replay from unlimited storage (Prabhu et al. 2023, arXiv:2303.11165)."""

import torch
import torch.nn.functional as F

from lord.config.types import AtLeastTwo
from lord.methods.context import Batch, Context
from lord.methods.method import Method, MethodConfig, Scalars, Traits
from lord.methods.optim import Progress
from lord.rehearsal import Storage
from lord.streams import Task


class ERAllConfig(MethodConfig, frozen=True):
    """Settings of replay from unlimited storage."""

    replay: AtLeastTwo = 32
    """Number of samples in a draw from the storage. Batch-norm needs more than one."""


class ERAll(Method[ERAllConfig]):
    """Keep every image seen, and join each batch with a uniform draw from all of them.

    The baseline for streams that limit computation and not memory. The bytes that it reports are
    those of all images seen.

    Departure: each batch has images of the stream and an equally large draw by default. The paper
    draws the whole batch from the storage, in which it puts a task's images before training.

    >>> import lord
    >>> config = lord.compose("er-all", {"epochs": 1, "width": 4, "subset": 0.1})
    >>> len(lord.run(config).matrices.class_il)
    5
    """

    name = "er-all"
    traits = Traits(waits=True)

    def __init__(self, config: ERAllConfig, context: Context) -> None:
        super().__init__(config, context)
        self.buffer: Storage = Storage(self.generator)

    def begin_task(self, task: Task) -> None:
        self.buffer.begin(len(task.labels))

    def step(self, batch: Batch, progress: Progress) -> Scalars:
        x, y = self.augment(batch.images), batch.labels
        if len(self.buffer):
            old = self.buffer.draw(self.config.replay)
            x, y = torch.cat([x, self.augment(old.images)]), torch.cat([y, old.labels])
        loss = F.cross_entropy(self.student(x), y)
        self.optimizer.update(loss, progress)
        self.buffer.store(batch.places, images=batch.images, labels=batch.labels)
        return {"loss": loss.detach()}
