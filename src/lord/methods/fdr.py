"""Function distance regularisation (Benjamin et al. 2019, arXiv:1805.08289)."""

import torch
import torch.nn.functional as F

from lord.config.types import NonNegative
from lord.methods.context import Batch
from lord.methods.method import BufferConfig, Rehearsal, Scalars
from lord.methods.optim import Progress
from lord.streams import Task


class FDRConfig(BufferConfig, frozen=True):
    """Settings of FDR."""

    alpha: NonNegative = 1.0
    """Weight of the distance to stored outputs."""


class FDR(Rehearsal[FDRConfig]):
    """Learn the stream, and keep outputs near those stored at the ends of earlier tasks.

    A step makes two updates. The first one lowers CE(stream). The second one lowers alpha * mean
    over a draw of the L2 distance between the present softmax and the stored one. The buffer holds
    equally many random images of each task.

    Departures: the stored images are drawn at random. A task's first images may be of one class.
    ``alpha`` is used; the code of DER's table does not use it. Stored outputs are those of images
    without augmentation, in evaluation mode.

    >>> import lord
    >>> config = lord.compose("fdr", {"epochs": 1, "width": 4, "subset": 0.1})
    >>> len(lord.run(config).matrices.class_il)
    5
    """

    name = "fdr"
    PUBLISHED = {
        stream: {
            size: {"lr": 0.03, "alpha": alpha}
            for size, alpha in {200: 0.3, 500: 1.0, 5120: 0.3}.items()
        }
        for stream in ("s-cifar10", "s-tinyimg")
    }

    def step(self, batch: Batch, progress: Progress) -> Scalars:
        updates = 2 if len(self.buffer) else 1
        loss = F.cross_entropy(self.student(self.augment(batch.images)), batch.labels)
        self.optimizer.update(loss, progress.update(0, updates))
        if len(self.buffer):
            old = self.buffer.draw(self.config.replay)
            now = self.student(self.augment(old.images)).softmax(1)
            distance = torch.linalg.vector_norm(now - old.logits.softmax(1), dim=1).mean()
            self.optimizer.update(self.config.alpha * distance, progress.update(1, updates))
        return {"loss": loss.detach()}

    def end_task(self, task: Task) -> None:
        """Store as many of this task's images as of each earlier task."""
        share = max(self.config.buffer // (task.index + 1), 1)
        chosen = torch.randperm(len(task.labels), generator=self.generator)[:share]
        chosen = chosen.to(task.labels.device)  # images may come sorted by class
        images, labels = task.images[chosen], task.labels[chosen]
        rows = {
            "images": images,
            "labels": labels,
            "logits": self.outputs(images),
            "task": torch.full_like(labels, task.index),
        }
        if old := self.buffer.held:
            of = old["task"]
            kept = torch.cat([(of == t).nonzero().flatten()[:share] for t in range(task.index)])
            rows = {name: torch.cat([old[name][kept], rows[name]]) for name in rows}
        self.buffer.fill(**{name: column[-self.config.buffer :] for name, column in rows.items()})
