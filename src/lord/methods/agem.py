"""Averaged gradient episodic memory (Chaudhry et al. 2019, arXiv:1812.00420)."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from lord.methods.context import Batch
from lord.methods.method import BufferConfig, Rehearsal, Scalars, Traits
from lord.methods.optim import Progress
from lord.streams import Task


class AGEMConfig(BufferConfig, frozen=True):
    """Settings of A-GEM."""

    offers: Literal["every", "last"] = "every"
    """Offer every batch to the buffer, or 32 images at the end of a task. The code of DER's table
    offers 32 images, so its A-GEM hardly depends on the buffer size."""


class AGEM(Rehearsal[AGEMConfig]):
    """Project the stream's gradient, so that the loss on a draw from the buffer does not rise.

    g <- g - min(g . r, 0) / (r . r) r, where r is the gradient of the draw's loss.

    >>> import lord
    >>> config = lord.compose("a-gem", {"epochs": 1, "width": 4, "subset": 0.1})
    >>> len(lord.run(config).matrices.class_il)
    5
    """

    name = "a-gem"
    traits = Traits(splits=False)
    PUBLISHED = {
        "s-cifar10": {size: {"lr": 0.03} for size in (200, 500, 5120)},
        "s-tinyimg": {size: {"lr": 0.01} for size in (200, 500, 5120)},
    }

    def step(self, batch: Batch, progress: Progress) -> Scalars:
        loss = F.cross_entropy(self.student(self.augment(batch.images)), batch.labels)
        if len(self.buffer):
            old = self.buffer.draw(self.config.replay)
            old_loss = F.cross_entropy(self.student(self.augment(old.images)), old.labels)
            self.optimizer.backward(old_loss)
            reference = self._gradients()
            for p in self.student.parameters():
                p.grad = None
            self.optimizer.backward(loss)
            trained = [p for p in self.student.parameters() if p.grad is not None]
            allowed = projected(self._gradients(), reference)
            for p, gradient in zip(trained, allowed, strict=True):
                p.grad = gradient
        else:
            self.optimizer.backward(loss)
        self.optimizer.step(progress)
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


def projected(gradients: list[Tensor], reference: list[Tensor]) -> list[Tensor]:
    """Return ``gradients`` with the least change after which they do not oppose ``reference``."""
    pairs = list(zip(gradients, reference, strict=True))
    inner = torch.stack([(g * r).sum() for g, r in pairs]).sum()
    length = torch.stack([(r * r).sum() for r in reference]).sum()
    along = inner.clamp(max=0) / length.clamp(min=1e-30)
    return [g - along * r for g, r in pairs]
