"""What a run provides to its method, and what a step learns from."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Generator, Tensor, nn

from lord.backbone import Backbone, Latents
from lord.costs import stated
from lord.data import Augment
from lord.methods.optim import OptimizerConfig
from lord.streams import Task


@dataclass(frozen=True)
class Batch:
    """Rows of the current task.

    Attributes:
        images: N x C x H x W uint8, on the device, before augmentation.
        labels: N int64.
        places: N int64, each row's place in the task.
    """

    images: Tensor
    labels: Tensor
    places: Tensor


@dataclass(frozen=True)
class Context:
    """Everything that a run provides to its method.

    Attributes:
        network: at full width, freshly initialised, on the device, with one output per class.
        augment: augments and normalises training images.
        optimizer: settings of the student's optimizer.
        shape: channels, height and width of the images.
        classes: number of classes in the whole stream.
        tasks: number of tasks in the whole stream.
        batch: number of images of the stream in a step.
        steps: returns the number of steps of a task.
        generator: on the CPU, for every random decision of the method.
        last: index of the last task; None if it is not known, as in a learner.
        flops: training FLOPs that are spent on each task; None if epochs limit a task.
        backbone: frozen network from images to features, for methods that use features; None
            without one.
        latents: turns images into the latents that the method gets as its images; None if it gets
            images.
    """

    network: nn.Module
    augment: Augment
    optimizer: OptimizerConfig
    shape: tuple[int, int, int]
    classes: int
    tasks: int
    batch: int
    steps: Callable[[Task], int]
    generator: Generator
    last: int | None = None
    flops: float | None = None
    backbone: Backbone | None = None
    latents: Latents | None = None

    @property
    def frozen(self) -> Backbone | None:
        """The backbone, whichever way it is used."""
        return self.latents.backbone if self.latents else self.backbone

    def charge(self, images: int) -> None:
        """Count the FLOPs of the latents of images that are learned for the first time."""
        if self.latents is not None:
            with stated(images * self.latents.backbone.flops):
                pass
