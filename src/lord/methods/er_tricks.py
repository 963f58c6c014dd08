"""ER with the tricks of Buzzega et al. 2020 (arXiv:2010.05595)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lord.config.types import Natural, Share
from lord.methods.er import ER
from lord.methods.heads import head_of, with_head
from lord.methods.method import Batch, BufferConfig, Context, Scalars
from lord.rehearsal import LossAware
from lord.streams import Task


class ERTricks(ER):
    """ER on a buffer that is augmented afresh, balanced and aware of losses; with a learning rate
    that decays with every image, and a correction of the newest classes' bias.

    The correction, a scale and a shift of the current task's logits, is fitted on the buffer when
    a task ends, the network in evaluation mode: SGD(0.5), 50 epochs. It is used in predicting; with
    recomputed statistics too, though it was fitted with those of training.
    """

    name = "er-tricks"
    STATE = ("correction", "newest", "peak")
    PRESETS = {"s-cifar10": {size: {"lr": 0.03} for size in (200, 500, 1000)}}

    class Config(BufferConfig, frozen=True):
        decay: Share = 0.99999935
        """Of the learning rate, per image of the stream."""
        fits: Natural = 50
        """Epochs the correction is fitted for; 0 for no correction."""

    def __init__(self, config: BufferConfig, context: Context) -> None:
        super().__init__(config, context)
        self.buffer: LossAware = LossAware(config.buffer, self.generator)
        self.correction = torch.tensor([1.0, 0.0])
        self.newest: list[int] = []
        self.peak = self.descent.peak

    @property
    def predictor(self) -> nn.Module:
        head = head_of(self.student)
        scale, shift = torch.ones_like(head.weight[:, 0]), torch.zeros_like(head.weight[:, 0])
        scale[self.newest], shift[self.newest] = self.correction.to(scale.device)
        bias = shift if head.bias is None else head.bias * scale + shift
        return with_head(self.student, head.weight * scale[:, None], bias)

    def begin_task(self, task: Task) -> None:
        super().begin_task(task)
        self.correction, self.newest = torch.tensor([1.0, 0.0]), []

    def step(self, batch: Batch) -> Scalars:
        x, y = self.augment(batch.images), batch.labels
        count, old = len(y), None
        if len(self.buffer):
            old = self.buffer.draw(self.config.replay)
            x, y = torch.cat([x, self.augment(old.images)]), torch.cat([y, old.labels])
        losses = F.cross_entropy(self.student(x), y, reduction="none")
        self.descent.peak = self.peak
        self.descent.update(losses.mean())
        self.peak *= self.config.decay**count
        losses = losses.detach().float()
        if old is not None:
            self.buffer.refresh(old.rows, losses[count:])
        new = {"images": batch.images, "labels": batch.labels, "losses": losses[:count]}
        self.buffer.offer(**new)
        return {"loss": losses.mean()}

    def end_task(self, task: Task) -> None:
        held, self.newest = self.buffer.held, list(task.classes)
        self.correction = self.fitted(self.outputs(held["images"]), held["labels"], self.newest)

    def fitted(self, logits: Tensor, labels: Tensor, newest: list[int]) -> Tensor:
        """Scale and shift of the newest classes' logits that suit ``labels`` best."""
        own = torch.zeros(logits.shape[1], device=logits.device)
        own[newest] = 1
        values = torch.tensor([1.0, 0.0], device=logits.device, requires_grad=True)
        descent = torch.optim.SGD([values], lr=0.5)
        for _ in range(self.config.fits):
            order = torch.randperm(len(labels), generator=self.generator).to(labels.device)
            for rows in order.split(self.config.replay):
                corrected = logits[rows] * (1 + own * (values[0] - 1)) + own * values[1]
                descent.zero_grad()
                F.cross_entropy(corrected, labels[rows]).backward()
                descent.step()
        return values.detach()
