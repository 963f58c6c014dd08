"""Online elastic weight consolidation (Schwarz et al. 2018, arXiv:1805.06370)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from lord.config.types import NonNegative, Probability
from lord.methods.method import Batch, Context, Method, MethodConfig, Scalars
from lord.streams import Task


class EWC(Method):
    """Holds each weight to where it was, the more the more the old tasks depend on it.

    Loss: CE + strength * sum of F (theta - theta*)^2. After a task F becomes gamma F + the mean
    over its images of p(y|x) (d log p(y|x) / d theta)^2, one image at a time. Departures: weighted
    by the likelihood, as in DER's table; in evaluation mode, where that table's code normalises
    each single image by itself.
    """

    name = "ewc-on"
    SPLITS = False
    WIDENS = False
    STATE = ("fisher", "anchor")
    PRESETS = {
        "s-cifar10": {0: {"lr": 0.03, "strength": 10.0}},
        "s-tinyimg": {0: {"lr": 0.03, "strength": 25.0}},
    }

    class Config(MethodConfig, frozen=True):
        strength: NonNegative = 10.0
        """Weight of the penalty (lambda)."""
        gamma: Probability = 1.0
        """What is kept of older tasks' importance at each new one."""

    def __init__(self, config: MethodConfig, context: Context) -> None:
        super().__init__(config, context)
        self.fisher = [torch.zeros_like(p) for p in self.student.parameters()]
        self.anchor = [p.detach().clone() for p in self.student.parameters()]

    def penalty(self) -> Tensor:
        """sum of F (theta - theta*)^2."""
        each = zip(self.fisher, self.student.parameters(), self.anchor, strict=True)
        return torch.stack([(f * (p - a) ** 2).sum() for f, p, a in each]).sum()

    def step(self, batch: Batch) -> Scalars:
        loss = F.cross_entropy(self.student(self.augment(batch.images)), batch.labels)
        loss = loss + self.config.strength * self.penalty()
        self.descent.update(loss)
        return {"loss": loss.detach()}

    def end_task(self, task: Task) -> None:
        parameters = list(self.student.parameters())
        new = [torch.zeros_like(p) for p in parameters]
        self.student.eval()
        for image, label in zip(task.images.split(1), task.labels.split(1), strict=True):
            fit = -F.cross_entropy(self.student(self.augment.normalise(image)), label)
            gradients = torch.autograd.grad(fit, parameters)
            for own, gradient in zip(new, gradients, strict=True):
                own.addcmul_(gradient, gradient * fit.detach().exp())
        self.student.train()
        each = zip(self.fisher, new, strict=True)
        count = len(task.labels)
        self.fisher = [self.config.gamma * old + own / count for old, own in each]
        self.anchor = [p.detach().clone() for p in parameters]
