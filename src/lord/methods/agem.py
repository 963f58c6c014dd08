"""Averaged gradient episodic memory (Chaudhry et al. 2019, arXiv:1812.00420)."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from lord.methods.method import Batch, BufferConfig, Rehearsal, Scalars
from lord.streams import Task


class AGEM(Rehearsal):
    """The stream's gradient, less what of it would raise the loss on a draw from the buffer.

    g <- g - min(g . r, 0) / (r . r) r, r the gradient of the draw's loss.
    """

    name = "a-gem"
    SPLITS = False
    PRESETS = {
        "s-cifar10": {size: {"lr": 0.03} for size in (200, 500, 5120)},
        "s-tinyimg": {size: {"lr": 0.01} for size in (200, 500, 5120)},
    }

    class Config(BufferConfig, frozen=True):
        offers: Literal["every", "last"] = "every"
        """Every batch is offered to the buffer, or 32 images when a task ends: the latter is
        behind DER's table, whose A-GEM so hardly depends on the buffer's size."""

    def step(self, batch: Batch) -> Scalars:
        loss = F.cross_entropy(self.student(self.augment(batch.images)), batch.labels)
        if len(self.buffer):
            old = self.buffer.draw(self.config.replay)
            self.descent.back(F.cross_entropy(self.student(self.augment(old.images)), old.labels))
            reference = self._gradients()
            for p in self.student.parameters():
                p.grad = None
            self.descent.back(loss)
            allowed = projected(self._gradients(), reference)
            for p, gradient in zip(self.student.parameters(), allowed, strict=True):
                p.grad = gradient
        else:
            self.descent.back(loss)
        self.descent.step()
        if self.config.offers == "every":
            self.buffer.offer(images=batch.images, labels=batch.labels)
        return {"loss": loss.detach()}

    def end_task(self, task: Task) -> None:
        if self.config.offers == "last":
            rows = torch.randperm(len(task.labels), generator=self.generator)[:32]
            rows = rows.to(task.labels.device)
            self.buffer.offer(images=task.images[rows], labels=task.labels[rows])

    def _gradients(self) -> list[Tensor]:
        gradients = [p.grad for p in self.student.parameters()]
        return [g for g in gradients if g is not None]


def projected(own: list[Tensor], reference: list[Tensor]) -> list[Tensor]:
    """``own``, changed no more than it must be not to oppose ``reference``."""
    inner = torch.stack([(g * r).sum() for g, r in zip(own, reference, strict=True)]).sum()
    length = torch.stack([(r * r).sum() for r in reference]).sum()
    along = inner.clamp(max=0) / length.clamp(min=1e-30)
    return [g - along * r for g, r in zip(own, reference, strict=True)]
