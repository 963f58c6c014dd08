"""GDumb: greedy sampler, dumb learner (Prabhu et al. 2020)."""

import math
from collections import defaultdict

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from lord.config.types import Count, Probability
from lord.methods.context import Batch, Context
from lord.methods.method import BufferConfig, Rehearsal, Scalars, Traits
from lord.methods.optim import OptimizerConfig, Progress, ScheduledOptimizer
from lord.streams import Task


class GDumbConfig(BufferConfig, frozen=True):
    """Settings of GDumb."""

    passes: Count = 256
    """Epochs over the buffer."""
    cutmix: Probability = 0.5
    """Probability that a minibatch is mixed by CutMix."""
    anytime: bool = False
    """Train after every task, instead of only after the last one. This costs more FLOPs."""


class GDumb(Rehearsal[GDumbConfig]):
    """Keep a balanced buffer, and train a fresh network only on the buffer.

    Training uses CutMix, and SGD with momentum 0.9 and weight decay 1e-6. The learning rate is
    0.005 in the first epoch. Then it falls from 0.05 to 0.0005 along cosines that restart after 1,
    3, 7 ... epochs. The optimizer settings of the stream are not used. Training takes place after
    the last task; before that, predictions are random. If ``anytime`` is set, or the last task is
    not known in advance, it takes place after every task. Departure: minibatches have ``replay``
    images instead of 16.

    >>> import lord
    >>> settings = {"width": 4, "subset": 0.1, "passes": 1}
    >>> len(lord.run(lord.compose("gdumb", settings)).matrices.class_il)
    5
    """

    name = "gdumb"
    traits = Traits(by_steps=False)
    STATE = ("initial",)

    def __init__(self, config: GDumbConfig, context: Context) -> None:
        super().__init__(config, context)
        self.initial = {k: v.clone() for k, v in self.student.state_dict().items()}

    def begin_task(self, task: Task) -> None:
        """Greedily keep images of the task. A new image replaces one of the largest class."""
        order = torch.randperm(len(task.labels), generator=self.generator).tolist()
        labels = task.labels[order].tolist()
        before, size = self.buffer.held, self.config.buffer
        held = before["labels"].tolist() if before else []
        kept = greedily_balanced(held + labels, len(held), size, self.generator)
        new = {"images": task.images[order], "labels": task.labels[order]}
        rows = torch.tensor(kept, device=task.labels.device)
        if before:
            new = {name: torch.cat([before[name], values]) for name, values in new.items()}
        self.buffer.fill(**{name: values[rows] for name, values in new.items()})

    def step(self, batch: Batch, progress: Progress) -> Scalars:
        return {"loss": torch.zeros((), device=batch.labels.device)}

    def end_task(self, task: Task) -> None:
        last = self.context.last
        if last is not None and task.index < last and not self.config.anytime:
            return
        self.student.load_state_dict(self.initial)
        rates = OptimizerConfig(lr=0.05, momentum=0.9, weight_decay=1e-6)
        optimizer = ScheduledOptimizer(self.student.parameters(), rates)
        for epoch in range(self.config.passes):
            order = torch.randperm(len(self.buffer), generator=self.generator)
            optimizer.peak = learning_rate(epoch)
            for rows in order.split(self.config.replay):
                if len(rows) > 1:
                    optimizer.update(self._loss(rows), Progress(epoch, self.config.passes))

    def _loss(self, rows: Tensor) -> Tensor:
        """Return the loss on rows of the buffer, mixed or not."""
        rows = rows.to(self.buffer.columns["labels"].device)
        x, y = (self.buffer.columns[name][rows] for name in ("images", "labels"))
        x = self.augment(x)
        if torch.rand((), generator=self.generator).item() >= self.config.cutmix:
            return F.cross_entropy(self.student(x), y)
        share = torch.rand((), generator=self.generator).item()  # Beta(1, 1)
        mixed, other, share = cutmix(x, share, self.generator)
        logits = self.student(mixed)
        loss = share * F.cross_entropy(logits, y)
        return loss + (1 - share) * F.cross_entropy(logits, y[other])


def greedily_balanced(labels: list[int], held: int, size: int, generator: Generator) -> list[int]:
    """Choose rows of a sequence that is seen one by one.

    Once ``size`` rows are held, a row replaces a random row of the largest class, if its class is
    smaller.

    Args:
        labels: class of each row.
        held: number of first rows that are held at the start.
        size: maximum number of rows.
        generator: on the CPU.

    Returns:
        Indices of the rows held at the end.
    """
    kept, places = list(range(held)), defaultdict(list)
    for place in kept:
        places[labels[place]].append(place)
    coins = torch.rand(len(labels), generator=generator).tolist()
    for row in range(held, len(labels)):
        same = places[labels[row]]
        if len(kept) < size:
            same.append(len(kept))
            kept.append(row)
            continue
        largest = max(places.values(), key=len)
        if len(same) < len(largest):
            place = largest.pop(int(coins[row] * len(largest)))
            same.append(place)
            kept[place] = row
    return kept


def learning_rate(epoch: int) -> float:
    """Return the learning rate of epoch 0, 1, ...: a warm-up, then longer and longer cosines."""
    if epoch == 0:
        return 0.005
    length, place = 1, epoch - 1
    while place >= length:
        place, length = place - length, 2 * length
    return 0.0005 + (0.05 - 0.0005) * (1 + math.cos(math.pi * place / length)) / 2


def cutmix(x: Tensor, share: float, generator: Generator) -> tuple[Tensor, Tensor, float]:
    """Paste a box of a partner into each image (Yun et al. 2019).

    Args:
        x: N x C x H x W.
        share: share of each image's area that is not replaced.
        generator: on the CPU.

    Returns:
        The mixed images, the index of each image's partner, and the share that was not replaced.
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
