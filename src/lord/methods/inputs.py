"""What a method learns from: images, latents below a cut, or features of a frozen backbone."""

from dataclasses import dataclass
from math import prod

import torch
from torch import Generator, Tensor, nn

from lord.backbone import Backbone, BackboneConfig, Latents, Scales
from lord.config import seeded
from lord.data import Augment
from lord.methods.fused import FusedConfig, student_side
from lord.methods.method import MethodConfig
from lord.methods.registry import METHODS
from lord.networks import NetworkConfig, first_network, initialised
from lord.networks.classifier import check_classifier, with_outputs

SAMPLE = 256
"""Images on which the ranges of latents are measured."""


@dataclass(frozen=True)
class Inputs:
    """The inputs of a method's student.

    Attributes:
        shape: channels, height and width of what the student gets.
        backbone: network from images to features, for methods that use features.
        latents: turns images into latents, for methods that train a network above a cut.
    """

    shape: tuple[int, int, int]
    backbone: Backbone | None = None
    latents: Latents | None = None

    @property
    def frozen(self) -> Backbone | None:
        """The backbone, whichever way it is used."""
        return self.latents.backbone if self.latents else self.backbone

    @property
    def weights(self) -> str | None:
        """Hash of the backbone's weights; None without a backbone."""
        return self.frozen.pretrained.digest if self.frozen else None

    def augmentation(self, generator: Generator) -> Augment | None:
        """Return how latents become the numbers that the student gets; None for images."""
        if self.latents is None:
            return None
        return Augment(*self.latents.scales, crop=0, flip=False, generator=generator)


def make_inputs(
    method: str,
    config: BackboneConfig,
    shape: tuple[int, int, int],
    device: torch.device | str,
    sample: Tensor | None = None,
    scales: Scales | None = None,
) -> Inputs:
    """Make the inputs of a method for images of a shape.

    Args:
        method: name of the method.
        config: the backbone, if there is one.
        shape: channels, height and width of the images.
        device: device of the backbone.
        sample: images of the first task, on which the ranges of latents are measured.
        scales: those ranges, if they were measured before.
    """
    if config.backbone is None:
        return Inputs(shape)
    backbone = Backbone(config, max(shape[1:]), device)
    if METHODS[method].method.traits.features != "none":
        return Inputs(shape, backbone)
    images = None if sample is None else sample[:SAMPLE]
    latents = Latents(backbone, images, scales)
    return Inputs(latents.shape, latents=latents)


def first_student(
    method: str,
    settings: MethodConfig,
    config: NetworkConfig,
    inputs: Inputs,
    classes: int,
    seed: int,
) -> nn.Module:
    """Make the network that a method starts from, and check that it can be trained.

    It is a linear layer over features, the network above the cut with a new head, or the network
    of ``config``. Its initial weights depend only on the seed, except those above a cut.

    Args:
        method: name of the method.
        settings: settings of the method.
        config: name and width of the network.
        inputs: inputs of the method.
        classes: number of logits for an image.
        seed: seed of the initial weights.
    """
    if METHODS[method].method.traits.features == "only":
        width = prod(inputs.backbone.shape if inputs.backbone else inputs.shape)
        return initialised(lambda: nn.Linear(width, classes), seed)
    if inputs.latents is not None:
        network = above_cut(inputs.latents.backbone, classes, seed)
        with seeded(seed):
            check_classifier(network, inputs.shape, classes)
        return network
    shape = inputs.shape
    if isinstance(settings, FusedConfig) and (side := student_side(settings.student_size, shape)):
        shape = (shape[0], side, side)
    return first_network(config, classes=classes, shape=shape, seed=seed)


def above_cut(backbone: Backbone, classes: int, seed: int) -> nn.Module:
    """Return the network above a cut, with a newly initialised head for ``classes`` classes."""
    network = initialised(lambda: with_outputs(backbone.above, classes), seed).requires_grad_()
    return nn.Sequential(nn.Flatten(), network) if len(backbone.shape) == 1 else network
