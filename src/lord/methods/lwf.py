"""Learning without forgetting (Li and Hoiem 2016, arXiv:1606.09282)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from lord.config.types import NonNegative, Positive
from lord.methods.heads import features_of, head_of
from lord.methods.method import CHUNK, Batch, Method, MethodConfig, Scalars
from lord.streams import Task


class LwF(Method):
    """Keeps the old classes' outputs on the new task's images as they were before it.

    Before a task the head alone is trained on its classes; then the outputs on all its images are
    recorded. Loss: CE over the classes seen + alpha * cross-entropy between the recorded and the
    present softmax over the old classes, both at a temperature. No buffer. In the form DER's table
    has it: outputs are recorded without augmentation, and the head is warmed up for as many steps
    as the task has.
    """

    name = "lwf"
    SPLITS = False
    STATE = ("old", "seen", "recorded")
    PRESETS = {
        "s-cifar10": {0: {"lr": 0.01, "alpha": 3.0, "weight_decay": 0.0005}},
        "s-tinyimg": {0: {"lr": 0.01, "alpha": 1.0, "weight_decay": 0.0005}},
    }

    class Config(MethodConfig, frozen=True):
        alpha: NonNegative = 3.0
        """Weight of the old outputs."""
        temperature: Positive = 2.0
        """Of both softmaxes."""

    old = 0
    seen = 0
    recorded: Tensor | None = None
    """Logits of the task's images over the old classes, before the task."""

    def begin_task(self, task: Task) -> None:
        super().begin_task(task)
        self.old, self.seen = self.seen, max(self.seen, 1 + max(task.classes))
        if not self.old:
            return
        if self.seen > self.old:
            self._warm_up(task)
        self.recorded = self.outputs(task.images)[:, : self.old]

    def step(self, batch: Batch) -> Scalars:
        logits = self.student(self.augment(batch.images))
        loss = F.cross_entropy(logits[:, : self.seen], batch.labels)
        if self.recorded is not None:
            t = self.config.temperature
            wanted = (self.recorded[batch.places] / t).softmax(1)
            kept = F.cross_entropy(logits[:, : self.old] / t, wanted)
            loss = loss + self.config.alpha * kept
        self.descent.update(loss)
        return {"loss": loss.detach()}

    def _warm_up(self, task: Task) -> None:
        """Train the head on the new classes, the features as they are."""
        self.student.eval()
        head = head_of(self.student)
        descent = torch.optim.SGD(head.parameters(), lr=self.context.optimizer.lr)
        new = (task.labels >= self.old).nonzero().flatten()
        for _ in range(self.context.steps(task)):
            places = torch.randint(len(new), (CHUNK,), generator=self.generator)
            rows = new[places.to(new.device)]
            with torch.no_grad():
                x = features_of(self.student, self.augment(task.images[rows]))
            logits = head(x)[:, self.old : self.seen]
            descent.zero_grad()
            F.cross_entropy(logits, task.labels[rows] - self.old).backward()
            descent.step()
        descent.zero_grad()
