"""Incremental classifier and representation learning (Rebuffi et al. 2017, arXiv:1611.07725)."""

import copy
import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lord.methods.context import Batch, Context
from lord.methods.heads import features_of, version, with_head
from lord.methods.method import CHUNK, BufferConfig, Rehearsal, Scalars, Traits
from lord.methods.optim import Progress
from lord.streams import Task


class ICaRL(Rehearsal[BufferConfig]):
    """Learn features from the stream and exemplars, and classify by the nearest class mean.

    Loss: binary cross-entropy over the classes seen so far. The targets of old classes are the
    sigmoids of the network at the end of the last task. New classes, and old ones that recur, have
    one-hot targets. The buffer holds equally many exemplars of each class, chosen by herding. The
    mean of a class is over the features of its exemplars and of their mirror images, each scaled to
    length 1.

    Departures: each batch is joined by exemplars drawn at random, as many in an epoch as there are.
    The paper shuffles them into the task, so each comes once. ``replay`` is not used. The paper's
    1e-5 * sum of theta^2 is the weight decay of the published settings.

    >>> import lord
    >>> config = lord.compose("icarl", {"epochs": 1, "width": 4, "subset": 0.1})
    >>> len(lord.run(config).matrices.class_il)
    5
    """

    name = "icarl"
    traits = Traits(splits=False)
    STATE = ("previous", "old", "back", "seen", "share", "steps")
    PUBLISHED = {
        "s-cifar10": {
            size: {"lr": lr, "weight_decay": 2e-5}
            for size, lr in {200: 0.1, 500: 0.1, 5120: 0.03}.items()
        },
        "s-cifar100-10x10": {size: {"lr": 0.3, "weight_decay": 2e-5} for size in (500, 2000)},
        "s-tinyimg": {size: {"lr": 0.03, "weight_decay": 2e-5} for size in (200, 500, 5120)},
    }

    def __init__(self, config: BufferConfig, context: Context) -> None:
        super().__init__(config, context)
        self.previous = copy.deepcopy(self.student).eval().requires_grad_(False)
        self.old = self.seen = self.steps = 0
        """Number of classes of earlier tasks, of classes seen so far, and of steps in this task."""
        self.back: list[int] = []
        """Old classes that recur in this task."""
        self.share = 0.0
        """Exemplars for each image of the task."""
        self._nearest: tuple[tuple[int, ...], nn.Module] | None = None

    @property
    def predictor(self) -> nn.Module:
        """The student with the class means as its head: the nearest mean has the largest logit."""
        if not len(self.buffer):
            return self.student
        if self._nearest is None or self._nearest[0] != version(self.student):
            return self._make_predictor()
        return self._nearest[1]

    def _make_predictor(self) -> nn.Module:
        """Return the predictor for the present student and exemplars."""
        network = with_head(self.student, self.class_means())
        self._nearest = version(self.student), network
        return network

    def begin_task(self, task: Task) -> None:
        self.old, self.back = self.seen, [label for label in task.classes if label < self.seen]
        self.seen = max(self.seen, 1 + max(task.classes))
        self.share = len(self.buffer) / len(task.labels)

    def step(self, batch: Batch, progress: Progress) -> Scalars:
        x, y = batch.images, batch.labels
        done, size = self.steps, self.share * len(y)
        exemplars = math.floor((done + 1) * size) - math.floor(done * size)
        if exemplars:
            drawn = self.buffer.draw(exemplars)
            x, y = torch.cat([x, drawn.images]), torch.cat([y, drawn.labels])
        x = self.augment(x)
        logits = self.student(x)[:, : self.seen]
        targets = F.one_hot(y, self.seen).float()
        if self.old > len(self.back):
            past = torch.arange(self.seen, device=y.device) < self.old
            past[self.back] = False
            with torch.no_grad():
                before = self.previous(x)[:, : self.seen].float().sigmoid()
            targets = torch.where(past, before, targets)
        loss = F.binary_cross_entropy_with_logits(logits.float(), targets)
        self.optimizer.update(loss, progress)
        self.steps += 1
        return {"loss": loss.detach()}

    @torch.no_grad()
    def end_task(self, task: Task) -> None:
        self.steps = 0
        each = max(self.config.buffer // self.seen, 1)
        images, labels = task.images, task.labels
        if held := self.buffer.held:
            images = torch.cat([held["images"], images])
            labels = torch.cat([held["labels"], labels])
        kept = []
        for label in range(self.seen):
            rows = (labels == label).nonzero().flatten()
            # Old exemplars are in the order in which they were chosen: the first are the best.
            if label in task.classes:
                rows = rows[herded(self._features(images[rows]), each)]
            kept.append(rows[:each])
        rows = torch.cat(kept)[: self.config.buffer]
        self.buffer.fill(images=images[rows], labels=labels[rows])
        self.previous.load_state_dict(self.student.state_dict())
        self._make_predictor()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self._nearest = None

    def class_means(self) -> Tensor:
        """Return classes x features means of length 1; zeros for classes without exemplars."""
        images, labels = self.buffer.held["images"], self.buffer.held["labels"]
        features = self._features(images) + self._features(images.flip(3))
        sums = features.new_zeros((self.context.classes, features.shape[1]))
        return F.normalize(sums.index_add_(0, labels, features), dim=1)

    @torch.no_grad()
    def _features(self, images: Tensor) -> Tensor:
        """Return N x features of length 1, in evaluation mode."""
        self.student.eval()
        parts = [features_of(self.student, self.augment.normalise(x)) for x in images.split(CHUNK)]
        self.student.train()
        return F.normalize(torch.cat(parts).float(), dim=1)


def herded(features: Tensor, count: int) -> Tensor:
    """Choose rows one by one, so that their mean stays nearest to the mean of all rows.

    Args:
        features: N x features.
        count: most rows to choose.

    Returns:
        Their indices, in the order of choice.
    """
    mean, total = features.mean(0), torch.zeros_like(features[0])
    distant = torch.zeros(len(features), device=features.device)
    chosen = []
    for place in range(1, min(count, len(features)) + 1):
        best = ((total + features) / place - mean).square().sum(1).add(distant).argmin()
        chosen.append(best)
        total = total + features[best]
        distant[best] = float("inf")
    return torch.stack(chosen)
