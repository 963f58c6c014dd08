"""Asymmetric cross-entropy for replay (Caccia et al. 2022, arXiv:2104.05025)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from lord.config.types import Natural
from lord.methods.context import Batch, Context
from lord.methods.method import BufferConfig, Rehearsal, Scalars
from lord.methods.optim import Progress
from lord.methods.terms import class_shares
from lord.streams import Task


class ERACEConfig(BufferConfig, frozen=True):
    """Settings of ER-ACE."""

    start: Natural = 1
    """First task with masking and rehearsal, counted from 0."""


class ERACE(Rehearsal[ERACEConfig]):
    """Mask old classes in the cross-entropy of the stream, but not in that of the replay.

    So images of the stream do not push logits of old classes down. Their softmax covers the classes
    of their batch, the newest class seen, and the classes not seen so far. Loss: CE(stream, masked)
    + CE(draw).

    Departure: the head is linear; the authors' is a cosine head.

    >>> import lord
    >>> config = lord.compose("er-ace", {"epochs": 1, "width": 4, "subset": 0.1})
    >>> len(lord.run(config).matrices.class_il)
    5
    """

    name = "er-ace"
    STATE = ("task", "newest")
    PUBLISHED = {
        stream: {size: {"lr": 0.03} for size in (200, 500, 5120)}
        for stream in ("s-cifar10", "s-cifar100", "s-tinyimg")
    }

    def __init__(self, config: ERACEConfig, context: Context) -> None:
        super().__init__(config, context)
        self.task = 0
        self.newest = torch.zeros((), dtype=torch.int64, device=self.device)
        """The highest class seen so far."""

    def begin_task(self, task: Task) -> None:
        self.task = task.index

    def step(self, batch: Batch, progress: Progress) -> Scalars:
        self.newest = torch.maximum(self.newest, batch.labels.max())
        logits = self.student(self.augment(batch.images))
        if len(self.buffer) and self.task >= self.config.start:
            old = self.buffer.draw(self.config.replay)
            loss = F.cross_entropy(self.masked(logits, batch.labels), batch.labels)
            loss = loss + F.cross_entropy(self.student(self.augment(old.images)), old.labels)
        else:
            loss = F.cross_entropy(logits, batch.labels)
        self.optimizer.update(loss, progress)
        self.buffer.offer(images=batch.images, labels=batch.labels)
        return {"loss": loss.detach()}

    def masked(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return ``logits`` without the earlier classes that are not among ``labels``."""
        present = class_shares(labels, logits.shape[1]) > 0
        newest = torch.maximum(self.newest, labels.max())
        ahead = torch.arange(len(present), device=logits.device) >= newest
        return logits.float().masked_fill(~(present | ahead), -1e9)
