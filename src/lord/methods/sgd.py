"""Plain fine-tuning and joint training: the lower and the upper bound."""

import torch.nn.functional as F

from lord.methods.method import Batch, Method, MethodConfig, Scalars


class SGD(Method):
    """Fine-tuning: each task is learnt as if there were no other. The lower bound."""

    name = "sgd"
    Config = MethodConfig
    PRESETS = {
        "s-cifar10": {0: {"lr": 0.1}},
        "s-cifar100": {0: {"lr": 0.1}},
        "s-tinyimg": {0: {"lr": 0.03}},
    }

    def step(self, batch: Batch) -> Scalars:
        loss = F.cross_entropy(self.student(self.augment(batch.images)), batch.labels)
        self.descent.update(loss)
        return {"loss": loss.detach()}


class Joint(SGD):
    """Fine-tuning on all data at once. The upper bound, and no continual learner."""

    name = "joint"
    joint = True
