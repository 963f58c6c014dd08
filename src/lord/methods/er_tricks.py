"""ER with the tricks of Buzzega et al. 2020 (arXiv:2010.05595)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lord.config.types import Natural, Share
from lord.methods.context import Batch, Context
from lord.methods.heads import head_of, with_head
from lord.methods.method import BufferConfig, Rehearsal, Scalars
from lord.methods.optim import Progress
from lord.rehearsal import LossAware
from lord.streams import Task


class ERTricksConfig(BufferConfig, frozen=True):
    """Settings of ER with tricks."""

    decay: Share = 0.99999935
    """Decay of the learning rate, per image of the stream."""
    fits: Natural = 50
    """Epochs for which the bias correction is fitted; 0 for no correction."""


class ERTricks(Rehearsal[ERTricksConfig]):
    """ER with a balanced, loss-aware buffer, learning-rate decay and a bias correction.

    The learning rate decays with every image. The correction is a scale and a shift of the logits
    of the latest task's classes. It is fitted on the buffer at the end of a task, with the network
    in evaluation mode, by SGD with learning rate 0.5 in 50 epochs. Predictions with recomputed
    statistics use it too, although it is fitted with the running statistics of training.

    >>> import lord
    >>> config = lord.compose("er-tricks", {"epochs": 1, "width": 4, "subset": 0.1})
    >>> len(lord.run(config).matrices.class_il)
    5
    """

    name = "er-tricks"
    STATE = ("correction", "newest", "peak")
    PUBLISHED = {"s-cifar10": {size: {"lr": 0.03} for size in (200, 500, 1000)}}

    def __init__(self, config: ERTricksConfig, context: Context) -> None:
        super().__init__(config, context)
        self.buffer: LossAware = LossAware(config.buffer, self.generator)
        self.correction = torch.tensor([1.0, 0.0])
        """Scale and shift."""
        self.newest: list[int] = []
        """Classes of the latest task, once it has ended."""
        self.peak = self.optimizer.peak

    @property
    def predictor(self) -> nn.Module:
        head = head_of(self.student)
        scale, shift = torch.ones_like(head.weight[:, 0]), torch.zeros_like(head.weight[:, 0])
        scale[self.newest], shift[self.newest] = self.correction.to(scale.device)
        bias = shift if head.bias is None else head.bias * scale + shift
        return with_head(self.student, head.weight * scale[:, None], bias)

    def begin_task(self, task: Task) -> None:
        self.correction, self.newest = torch.tensor([1.0, 0.0]), []

    def step(self, batch: Batch, progress: Progress) -> Scalars:
        count = len(batch.labels)
        x, y, old = self.joined(batch)
        losses = F.cross_entropy(self.student(x), y, reduction="none")
        self.optimizer.peak = self.peak
        self.optimizer.update(losses.mean(), progress)
        self.peak *= self.config.decay**count
        losses = losses.detach().float()
        if old is not None:
            self.buffer.refresh(old.rows, losses[count:])
        self.buffer.offer(images=batch.images, labels=batch.labels, losses=losses[:count])
        return {"loss": losses.mean()}

    def end_task(self, task: Task) -> None:
        held, self.newest = self.buffer.held, list(task.classes)
        self.correction = self.fitted(self.outputs(held["images"]), held["labels"], self.newest)

    def fitted(self, logits: Tensor, labels: Tensor, newest: list[int]) -> Tensor:
        """Return the scale and shift of the newest classes' logits that fit ``labels`` best.

        Args:
            logits: N x classes.
            labels: N int64.
            newest: the classes of the latest task.
        """
        corrected_class = torch.zeros(logits.shape[1], device=logits.device)
        corrected_class[newest] = 1
        values = torch.tensor([1.0, 0.0], device=logits.device, requires_grad=True)
        optimizer = torch.optim.SGD([values], lr=0.5)
        for _ in range(self.config.fits):
            order = torch.randperm(len(labels), generator=self.generator).to(labels.device)
            for rows in order.split(self.config.replay):
                scale = 1 + corrected_class * (values[0] - 1)
                corrected = logits[rows] * scale + corrected_class * values[1]
                optimizer.zero_grad()
                F.cross_entropy(corrected, labels[rows]).backward()
                optimizer.step()
        return values.detach()
