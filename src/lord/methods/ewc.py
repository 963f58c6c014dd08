"""Online elastic weight consolidation (Schwarz et al. 2018, arXiv:1805.06370)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from lord.config.types import NonNegative, Probability
from lord.methods.context import Batch, Context
from lord.methods.method import Method, MethodConfig, Scalars, Traits
from lord.methods.optim import Progress
from lord.streams import Task


class EWCConfig(MethodConfig, frozen=True):
    """Settings of online EWC."""

    strength: NonNegative = 10.0
    """Weight of the penalty (lambda)."""
    gamma: Probability = 1.0
    """Share of the older tasks' importance that is kept at each new task."""


class EWC(Method[EWCConfig]):
    """Hold each weight near its old value, in proportion to its importance for earlier tasks.

    Loss: CE + strength * sum of F (theta - theta*)^2. After a task, F becomes gamma F plus the mean
    over the task's images of p(y|x) (d log p(y|x) / d theta)^2.

    Departures: importance is weighted by the likelihood, as in DER's table. It is computed in
    evaluation mode. In the code of that table, batch-norm sees one image at a time.

    >>> import lord
    >>> config = lord.compose("ewc-on", {"epochs": 1, "width": 4, "subset": 0.1})
    >>> len(lord.run(config).matrices.class_il)
    5
    """

    name = "ewc-on"
    traits = Traits(splits=False, widens=False)
    STATE = ("fisher", "anchor")
    PUBLISHED = {
        "s-cifar10": {0: {"lr": 0.03, "strength": 10.0}},
        "s-tinyimg": {0: {"lr": 0.03, "strength": 25.0}},
    }

    def __init__(self, config: EWCConfig, context: Context) -> None:
        super().__init__(config, context)
        self.fisher = [torch.zeros_like(p) for p in self.student.parameters()]
        self.anchor = [p.detach().clone() for p in self.student.parameters()]

    def penalty(self) -> Tensor:
        """Return the sum of F (theta - theta*)^2."""
        terms = zip(self.fisher, self.student.parameters(), self.anchor, strict=True)
        return torch.stack([(f * (p - a) ** 2).sum() for f, p, a in terms]).sum()

    def step(self, batch: Batch, progress: Progress) -> Scalars:
        loss = F.cross_entropy(self.student(self.augment(batch.images)), batch.labels)
        loss = loss + self.config.strength * self.penalty()
        self.optimizer.update(loss, progress)
        return {"loss": loss.detach()}

    def end_task(self, task: Task) -> None:
        parameters = list(self.student.parameters())
        squares = [torch.zeros_like(p) for p in parameters]
        trained = [place for place, p in enumerate(parameters) if p.requires_grad]
        self.student.eval()
        for image, label in zip(task.images.split(1), task.labels.split(1), strict=True):
            likelihood = -F.cross_entropy(self.student(self.augment.normalise(image)), label)
            inputs = [parameters[place] for place in trained]
            gradients = torch.autograd.grad(likelihood, inputs, materialize_grads=True)
            for place, gradient in zip(trained, gradients, strict=True):
                squares[place].addcmul_(gradient, gradient * likelihood.detach().exp())
        self.student.train()
        count = len(task.labels)
        pairs = zip(self.fisher, squares, strict=True)
        self.fisher = [self.config.gamma * old + new / count for old, new in pairs]
        self.anchor = [p.detach().clone() for p in parameters]
