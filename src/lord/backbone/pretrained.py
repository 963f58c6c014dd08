"""A pretrained network and what its images need."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import nn

from lord.backbone.weights import digest_of

Interpolation = Literal["bilinear", "bicubic"]
IMAGENET, UNKNOWN = "ImageNet-1k", "unknown"
"""What a network was trained on. Nothing says it of most networks."""


@dataclass(frozen=True)
class Pretrained:
    """A pretrained network, frozen, and what its images need.

    Attributes:
        name: as in the settings.
        network: from normalised N x channels x H x W images to logits or features. It is in
            evaluation mode, and its parameters take no gradients.
        mean, std: normalisation of each channel, as shares of the full range.
        interpolation: how images are resized for it.
        size: height and width in pixels of the images that it was trained on.
        digest: SHA-256 over its tensors by name.
        trained_on: "ImageNet-1k", or "unknown".
        training_flops: estimated FLOPs of its training, where they are known.
        channels: channels of its images.
    """

    name: str
    network: nn.Module
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: Interpolation
    size: int
    digest: str
    trained_on: str
    training_flops: float | None
    channels: int


def frozen(
    name: str,
    network: nn.Module,
    *,
    mean: Sequence[float],
    std: Sequence[float],
    size: int,
    interpolation: Interpolation = "bilinear",
    trained_on: str = UNKNOWN,
    training_flops: float | None = None,
) -> Pretrained:
    """Freeze a network that has its weights, and return it with what its images need.

    Args:
        network: it is changed to evaluation mode, without gradients.
        mean, std, size, interpolation, trained_on, training_flops: see ``Pretrained``.
    """
    network = network.eval().requires_grad_(False)
    return Pretrained(
        name,
        network,
        tuple(map(float, mean)),
        tuple(map(float, std)),
        interpolation,
        size,
        digest_of(network),
        trained_on,
        training_flops,
        len(mean),
    )
