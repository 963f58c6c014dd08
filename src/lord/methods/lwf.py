"""Learning without forgetting (Li and Hoiem 2016, arXiv:1606.09282)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from lord.config.types import NonNegative, Positive
from lord.methods.context import Batch, Context
from lord.methods.heads import features_of, head_of
from lord.methods.method import CHUNK, Method, MethodConfig, Scalars, Traits
from lord.methods.optim import Progress
from lord.streams import Task


class LwFConfig(MethodConfig, frozen=True):
    """Settings of LwF."""

    alpha: NonNegative = 3.0
    """Weight of the distance to the recorded outputs."""
    temperature: Positive = 2.0
    """Temperature of both softmaxes."""


class LwF(Method[LwFConfig]):
    """Keep the outputs for old classes near those from before the task, on the new task's images.

    Before a task, only the head is trained, on the new classes. Then the outputs for all images of
    the task are recorded. Loss: CE over the classes seen + alpha * cross-entropy between recorded
    and present softmax over the old classes, both at a temperature. It has no buffer.

    As in DER's table, outputs are recorded without augmentation. The head is trained for as many
    steps as the task has.

    >>> import lord
    >>> config = lord.compose("lwf", {"epochs": 1, "width": 4, "subset": 0.1})
    >>> len(lord.run(config).matrices.class_il)
    5
    """

    name = "lwf"
    traits = Traits(splits=False, ahead=True)
    STATE = ("old", "seen", "recorded")
    PUBLISHED = {
        "s-cifar10": {0: {"lr": 0.01, "alpha": 3.0, "weight_decay": 0.0005}},
        "s-tinyimg": {0: {"lr": 0.01, "alpha": 1.0, "weight_decay": 0.0005}},
    }

    def __init__(self, config: LwFConfig, context: Context) -> None:
        super().__init__(config, context)
        self.old = self.seen = 0
        """Number of classes seen before this task, and including it."""
        self.recorded: Tensor | None = None
        """Logits of the task's images over the old classes, before the task."""

    def begin_task(self, task: Task) -> None:
        self.old, self.seen = self.seen, max(self.seen, 1 + max(task.classes))
        if not self.old:
            return
        if self.seen > self.old:
            self._train_head(task)
        self.recorded = self.outputs(task.images)[:, : self.old].clone()

    def step(self, batch: Batch, progress: Progress) -> Scalars:
        logits = self.student(self.augment(batch.images))
        loss = F.cross_entropy(logits[:, : self.seen], batch.labels)
        if self.recorded is not None:
            t = self.config.temperature
            target = (self.recorded[batch.places] / t).softmax(1)
            distance = F.cross_entropy(logits[:, : self.old] / t, target)
            loss = loss + self.config.alpha * distance
        self.optimizer.update(loss, progress)
        return {"loss": loss.detach()}

    def bytes_to_come(self, images: int) -> int:
        """Return the bytes of outputs for all images of a task."""
        return 4 * images * self.seen

    def _train_head(self, task: Task) -> None:
        """Train only the head, on the new classes."""
        self.student.eval()
        head = head_of(self.student)
        optimizer = torch.optim.SGD(head.parameters(), lr=self.context.optimizer.lr)
        new = (task.labels >= self.old).nonzero().flatten()
        for _ in range(self.context.steps(task)):
            places = torch.randint(len(new), (CHUNK,), generator=self.generator)
            rows = new[places.to(new.device)]
            with torch.no_grad():
                x = features_of(self.student, self.augment(task.images[rows]))
            logits = head(x)[:, self.old : self.seen]
            optimizer.zero_grad()
            F.cross_entropy(logits, task.labels[rows] - self.old).backward()
            optimizer.step()
            torch.clear_autocast_cache()  # it has the weights of before the step
        optimizer.zero_grad()
        self.student.train()
