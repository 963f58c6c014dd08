"""Plain fine-tuning and joint training: the lower and the upper bound."""

import torch.nn.functional as F

from lord.methods.context import Batch
from lord.methods.method import Method, MethodConfig, Scalars, Traits
from lord.methods.optim import Progress


class SGD(Method[MethodConfig]):
    """Fine-tune on each task, with no regard to the others: the lower bound.

    >>> import lord
    >>> config = lord.compose("sgd", {"epochs": 1, "width": 4, "subset": 0.1})
    >>> len(lord.run(config).matrices.class_il)
    5
    """

    name = "sgd"
    PUBLISHED = {
        "s-cifar10": {0: {"lr": 0.1}},
        "s-cifar100": {0: {"lr": 0.1}},
        "s-tinyimg": {0: {"lr": 0.03}},
    }

    def step(self, batch: Batch, progress: Progress) -> Scalars:
        loss = F.cross_entropy(self.student(self.augment(batch.images)), batch.labels)
        self.optimizer.update(loss, progress)
        return {"loss": loss.detach()}


class Joint(SGD):
    """Train on the images of all tasks at once: the upper bound, not a continual learner.

    >>> import lord
    >>> config = lord.compose("joint", {"epochs": 1, "width": 4, "subset": 0.1})
    >>> len(lord.run(config).matrices.class_il)
    1
    """

    name = "joint"
    traits = Traits(joint=True)
