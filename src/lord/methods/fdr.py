"""Function distance regularisation (Benjamin et al. 2019, arXiv:1805.08289)."""

import torch
import torch.nn.functional as F

from lord.config.types import NonNegative
from lord.methods.method import Batch, BufferConfig, Rehearsal, Scalars
from lord.streams import Task


class FDR(Rehearsal):
    """After each step on the stream, one back towards the outputs stored at earlier tasks' ends.

    Two updates a batch: CE(stream); then alpha * mean over a draw of the L2 distance between the
    present softmax and the stored one. The buffer holds equally many random images of each task.
    Departures: they are not its first, which may be of one class; alpha is used, which the code
    behind DER's table reads and forgets; stored outputs are those of images without augmentation,
    in evaluation mode.
    """

    name = "fdr"
    PRESETS = {
        stream: {
            size: {"lr": 0.03, "alpha": alpha}
            for size, alpha in {200: 0.3, 500: 1.0, 5120: 0.3}.items()
        }
        for stream in ("s-cifar10", "s-tinyimg")
    }

    class Config(BufferConfig, frozen=True):
        alpha: NonNegative = 1.0
        """Weight of the distance to stored outputs."""

    @property
    def updates(self) -> int:
        return 2 if len(self.buffer) else 1

    def step(self, batch: Batch) -> Scalars:
        loss = F.cross_entropy(self.student(self.augment(batch.images)), batch.labels)
        self.descent.update(loss)
        if len(self.buffer):
            old = self.buffer.draw(self.config.replay)
            now = self.student(self.augment(old.images)).softmax(1)
            distance = torch.linalg.vector_norm(now - old.logits.softmax(1), dim=1).mean()
            self.descent.update(self.config.alpha * distance)
        return {"loss": loss.detach()}

    def end_task(self, task: Task) -> None:
        """Make room for this task's images, the same number as of each before it."""
        each = max(self.config.buffer // (task.index + 1), 1)
        some = torch.randperm(len(task.labels), generator=self.generator)[:each]
        some = some.to(task.labels.device)  # images may come sorted by class
        images, labels = task.images[some], task.labels[some]
        rows = {
            "images": images,
            "labels": labels,
            "logits": self.outputs(images),
            "task": torch.full_like(labels, task.index),
        }
        if old := self.buffer.held:
            of = old["task"]
            kept = torch.cat([(of == t).nonzero().flatten()[:each] for t in range(task.index)])
            rows = {name: torch.cat([old[name][kept], rows[name]]) for name in rows}
        self.buffer.fill(**{name: column[-self.config.buffer :] for name, column in rows.items()})
