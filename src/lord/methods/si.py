"""Synaptic intelligence (Zenke et al. 2017, arXiv:1703.04200)."""

import torch
import torch.nn.functional as F

from lord.config.types import NonNegative, Positive
from lord.methods.context import Batch, Context
from lord.methods.method import Method, MethodConfig, Scalars, Traits
from lord.methods.optim import Progress
from lord.streams import Task


class SIConfig(MethodConfig, frozen=True):
    """Settings of SI."""

    c: NonNegative = 0.5
    """Weight of the penalty."""
    xi: Positive = 1.0
    """Damping: it limits the importance of a weight that hardly moved."""


class SI(Method[SIConfig]):
    """Hold each weight near its old value, in proportion to how much its changes lowered the loss.

    Gradient: that of CE + 2 c Omega (theta - theta*), each entry clipped to [-1, 1]. A weight's
    contribution to a task is the sum over steps of CE's gradient times how far the weight moved.
    After the task, Omega grows by contribution / ((theta - theta*)^2 + xi).

    >>> import lord
    >>> config = lord.compose("si", {"epochs": 1, "width": 4, "subset": 0.1})
    >>> len(lord.run(config).matrices.class_il)
    5
    """

    name = "si"
    traits = Traits(splits=False, widens=False)
    STATE = ("importance", "part", "anchor")
    PUBLISHED = {stream: {0: {"lr": 0.03}} for stream in ("s-cifar10", "s-tinyimg")}

    def __init__(self, config: SIConfig, context: Context) -> None:
        super().__init__(config, context)
        parameters = list(self.student.parameters())
        self.importance = [torch.zeros_like(p) for p in parameters]
        self.part = [torch.zeros_like(p) for p in parameters]
        """Each weight's contribution to the present task."""
        self.anchor = [p.detach().clone() for p in parameters]

    def step(self, batch: Batch, progress: Progress) -> Scalars:
        loss = F.cross_entropy(self.student(self.augment(batch.images)), batch.labels)
        self.optimizer.backward(loss)
        parameters = list(self.student.parameters())
        before = [p.detach().clone() for p in parameters]
        gradients = []
        for p, importance, anchor in zip(parameters, self.importance, self.anchor, strict=True):
            if p.grad is None:  # frozen or unused
                gradients.append(torch.zeros_like(p))
                continue
            gradients.append(p.grad.clone())
            p.grad.add_(2 * self.config.c * importance * (p.detach() - anchor)).clamp_(-1, 1)
        self.optimizer.step(progress)
        moves = zip(self.part, gradients, before, parameters, strict=True)
        self.part = [part + g * (old - p.detach()) for part, g, old, p in moves]
        return {"loss": loss.detach()}

    def end_task(self, task: Task) -> None:
        now = [p.detach().clone() for p in self.student.parameters()]
        terms = zip(self.importance, self.part, now, self.anchor, strict=True)
        self.importance = [o + w / ((n - a) ** 2 + self.config.xi) for o, w, n, a in terms]
        self.part = [torch.zeros_like(p) for p in now]
        self.anchor = now
