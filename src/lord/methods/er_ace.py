"""Asymmetric cross-entropy for replay (Caccia et al. 2022, arXiv:2104.05025)."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lord.config.types import Natural
from lord.methods.method import Batch, BufferConfig, Context, Rehearsal, Scalars
from lord.methods.terms import class_shares
from lord.streams import Task


class ERACE(Rehearsal):
    """Stream images compete with the classes of their own batch only; replayed ones with all.

    So the stream pushes no old class down. The newest class met and those not met yet stay in the
    stream's softmax.
    Loss: CE(stream, masked) + CE(draw). Masking and rehearsal begin with the second task. The
    head is linear, not the authors' cosine one.
    """

    name = "er-ace"
    STATE = ("task", "newest")
    PRESETS = {
        stream: {size: {"lr": 0.03} for size in (200, 500, 5120)}
        for stream in ("s-cifar10", "s-cifar100", "s-tinyimg")
    }

    class Config(BufferConfig, frozen=True):
        start: Natural = 1
        """Task from which masking and rehearsal are done, counted from 0."""

    task = 0

    def __init__(self, config: Any, context: Context) -> None:
        super().__init__(config, context)
        self.newest = torch.zeros((), dtype=torch.int64, device=self.device)
        """The highest class met so far."""

    def begin_task(self, task: Task) -> None:
        super().begin_task(task)
        self.task = task.index

    def step(self, batch: Batch) -> Scalars:
        self.newest = torch.maximum(self.newest, batch.labels.max())
        logits = self.student(self.augment(batch.images))
        if len(self.buffer) and self.task >= self.config.start:
            old = self.buffer.draw(self.config.replay)
            loss = F.cross_entropy(self.masked(logits, batch.labels), batch.labels)
            loss = loss + F.cross_entropy(self.student(self.augment(old.images)), old.labels)
        else:
            loss = F.cross_entropy(logits, batch.labels)
        self.descent.update(loss)
        self.buffer.offer(images=batch.images, labels=batch.labels)
        return {"loss": loss.detach()}

    def masked(self, logits: Tensor, labels: Tensor) -> Tensor:
        """``logits`` without the classes met that are not among ``labels``, but for the newest."""
        there = class_shares(labels, logits.shape[1]) > 0
        ahead = torch.arange(len(there), device=logits.device) >= torch.maximum(
            self.newest, labels.max()
        )
        return logits.float().masked_fill(~(there | ahead), -1e9)
