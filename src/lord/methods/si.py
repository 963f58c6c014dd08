"""Synaptic intelligence (Zenke et al. 2017, arXiv:1703.04200)."""

import torch
import torch.nn.functional as F

from lord.config.types import NonNegative, Positive
from lord.methods.method import Batch, Context, Method, MethodConfig, Scalars
from lord.streams import Task


class SI(Method):
    """Holds each weight to where it was, the more the more its moves lowered the loss.

    Gradient: that of CE + 2 c Omega (theta - theta*), each entry clipped to [-1, 1]. A weight's
    part in a task is the sum over steps of CE's gradient times how far it moved; at the task's end
    Omega grows by that part / ((theta - theta*)^2 + xi).
    """

    name = "si"
    SPLITS = False
    WIDENS = False
    STATE = ("importance", "part", "anchor")
    PRESETS = {stream: {0: {"lr": 0.03}} for stream in ("s-cifar10", "s-tinyimg")}

    class Config(MethodConfig, frozen=True):
        c: NonNegative = 0.5
        """Weight of the penalty."""
        xi: Positive = 1.0
        """Keeps the importance of a weight that hardly moved finite."""

    def __init__(self, config: MethodConfig, context: Context) -> None:
        super().__init__(config, context)
        parameters = list(self.student.parameters())
        self.importance = [torch.zeros_like(p) for p in parameters]
        self.part = [torch.zeros_like(p) for p in parameters]
        self.anchor = [p.detach().clone() for p in parameters]

    def step(self, batch: Batch) -> Scalars:
        loss = F.cross_entropy(self.student(self.augment(batch.images)), batch.labels)
        self.descent.back(loss)
        parameters = list(self.student.parameters())
        before = [p.detach().clone() for p in parameters]
        gradients = []
        each = zip(parameters, self.importance, self.anchor, strict=True)
        for p, importance, anchor in each:
            assert p.grad is not None
            gradients.append(p.grad.clone())
            p.grad.add_(2 * self.config.c * importance * (p.detach() - anchor)).clamp_(-1, 1)
        self.descent.step()
        moves = zip(self.part, gradients, before, parameters, strict=True)
        self.part = [part + g * (old - p.detach()) for part, g, old, p in moves]
        return {"loss": loss.detach()}

    def end_task(self, task: Task) -> None:
        now = [p.detach().clone() for p in self.student.parameters()]
        each = zip(self.importance, self.part, now, self.anchor, strict=True)
        self.importance = [o + w / ((n - a) ** 2 + self.config.xi) for o, w, n, a in each]
        self.part = [torch.zeros_like(p) for p in now]
        self.anchor = now
