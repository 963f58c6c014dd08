"""GDumb: greedy sampler, dumb learner (Prabhu et al. 2020)."""

import math
from collections import defaultdict
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from lord.config.types import Count, Probability
from lord.methods.method import Batch, BufferConfig, Context, Rehearsal, Scalars
from lord.methods.optim import Descent, OptimizerConfig
from lord.streams import Task


class GDumb(Rehearsal):
    """Learns nothing from the stream: keeps a balanced buffer, and trains afresh on that alone.

    SGD with momentum 0.9, weight decay 1e-6; learning rate from 0.05 to 0.0005 on cosines that
    start anew after 1, 3, 7 ... epochs, the first epoch at 0.005; CutMix. The stream's optimizer
    settings are not used. Trained after the last task only, unless asked, or where nobody knows
    which is the last; until then it predicts at random. Departure: minibatches of ``replay``
    images, not 16.
    """

    name = "gdumb"
    STEPS = False
    STATE = ("classes", "initial")

    class Config(BufferConfig, frozen=True):
        passes: Count = 256
        """Epochs over the buffer."""
        cutmix: Probability = 0.5
        """Chance that a minibatch is mixed."""
        anytime: bool = False
        """Also train after every task but the last, at that cost."""

    def __init__(self, config: Any, context: Context) -> None:
        super().__init__(config, context)
        self.initial = {k: v.clone() for k, v in self.student.state_dict().items()}
        self.classes: list[int] = []

    def begin_task(self, task: Task) -> None:
        """Greedily keep the task's images: a new one replaces one of the largest class."""
        order = torch.randperm(len(task.labels), generator=self.generator).tolist()
        labels = task.labels[order].tolist()
        held, size = self.classes, self.config.buffer
        kept = greedily_balanced(held + labels, len(held), size, self.generator)
        new = {"images": task.images[order], "labels": task.labels[order]}
        rows = torch.tensor(kept, device=task.labels.device)
        if before := self.buffer.held:
            new = {name: torch.cat([before[name], values]) for name, values in new.items()}
        self.buffer.fill(**{name: values[rows] for name, values in new.items()})
        self.classes = self.buffer.held["labels"].tolist()

    def step(self, batch: Batch) -> Scalars:
        return {"loss": torch.zeros((), device=batch.labels.device)}

    def end_task(self, task: Task) -> None:
        last = self.context.last
        if last is not None and task.index < last and not self.config.anytime:
            return
        self.student.load_state_dict(self.initial)
        rates = OptimizerConfig(lr=0.05, momentum=0.9, weight_decay=1e-6)
        descent = Descent(self.student.parameters(), rates)
        for epoch in range(self.config.passes):
            order = torch.randperm(len(self.buffer), generator=self.generator)
            for rows in order.split(self.config.replay):
                if len(rows) > 1:
                    descent.peak = learning_rate(epoch)
                    descent.update(self._loss(rows))

    def _loss(self, rows: Tensor) -> Tensor:
        rows = rows.to(self.buffer.columns["labels"].device)
        x, y = (self.buffer.columns[name][rows] for name in ("images", "labels"))
        x = self.augment(x)
        if torch.rand((), generator=self.generator).item() >= self.config.cutmix:
            return F.cross_entropy(self.student(x), y)
        share = torch.rand((), generator=self.generator).item()  # Beta(1, 1)
        mixed, other, share = cutmix(x, share, self.generator)
        logits = self.student(mixed)
        own = share * F.cross_entropy(logits, y)
        return own + (1 - share) * F.cross_entropy(logits, y[other])


def greedily_balanced(labels: list[int], held: int, size: int, generator: Generator) -> list[int]:
    """Rows kept of a sequence, seen one by one: once there are ``size``, a row replaces a random
    one of the largest class, if its own class is smaller.

    Args:
        labels: class of each row; the first ``held`` are kept to begin with.
    """
    kept, places = list(range(held)), defaultdict(list)
    for place in kept:
        places[labels[place]].append(place)
    coins = torch.rand(len(labels), generator=generator).tolist()
    for row in range(held, len(labels)):
        own = places[labels[row]]
        if len(kept) < size:
            own.append(len(kept))
            kept.append(row)
            continue
        largest = max(places.values(), key=len)
        if len(own) < len(largest):
            place = largest.pop(int(coins[row] * len(largest)))
            own.append(place)
            kept[place] = row
    return kept


def learning_rate(epoch: int) -> float:
    """Of an epoch from 0: a short warm-up, then cosines whose length doubles."""
    if epoch == 0:
        return 0.005
    length, place = 1, epoch - 1
    while place >= length:
        place, length = place - length, 2 * length
    return 0.0005 + (0.05 - 0.0005) * (1 + math.cos(math.pi * place / length)) / 2


def cutmix(x: Tensor, share: float, generator: Generator) -> tuple[Tensor, Tensor, float]:
    """Paste a box of each image's partner into it (Yun et al. 2019).

    Returns the images, the index of each one's partner, and the share of each that is left.
    """
    height, width = x.shape[2:]
    cut = math.sqrt(1 - share)
    centre = torch.rand(2, generator=generator).tolist()
    sides = []
    for at, size in zip(centre, (height, width), strict=True):
        middle, half = int(at * size), int(cut * size) // 2
        sides.append((max(middle - half, 0), min(middle + half, size)))
    (top, bottom), (left, right) = sides
    other = torch.randperm(len(x), generator=generator).to(x.device)
    mixed = x.clone()
    mixed[:, :, top:bottom, left:right] = x[other][:, :, top:bottom, left:right]
    return mixed, other, 1 - (bottom - top) * (right - left) / (height * width)
