"""Features below a cut as 8-bit images, which any method can learn and replay."""

from typing import NamedTuple

import torch
from torch import Tensor

from lord.backbone.features import Backbone

OUTLIERS = 0.001
"""Share of the values of a channel beyond each end of its range."""


class Scales(NamedTuple):
    """How 8-bit latents become numbers: as ``Augment`` normalises pixels.

    Attributes:
        means, deviations: m and s of each channel. A value q stands for (q / 255 - m) / s.
    """

    means: tuple[float, ...]
    deviations: tuple[float, ...]


class Latents:
    """Turn images into latents: the features below a cut, with eight bits for each value.

    Each channel has a fixed range, measured on the first images. Values beyond it are clipped.

    Args:
        backbone: network below the cut.
        images: N x C x H x W uint8 images, on which ranges are measured. They may be a sample.
        scales: ranges that were measured before; replaces ``images``.
    """

    def __init__(
        self, backbone: Backbone, images: Tensor | None = None, scales: Scales | None = None
    ) -> None:
        self.backbone = backbone
        if scales is None:
            assert images is not None
            scales = _scales(_spatial(backbone(images)))
        self.scales = scales

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of the latents."""
        channels, *sides = self.backbone.shape
        height, width = sides or (1, 1)
        return channels, height, width

    def __call__(self, images: Tensor) -> Tensor:
        """Return the latents of N x C x H x W uint8 images, uint8 of the shape N x ``shape``."""
        mean, std = (torch.tensor(s, device=images.device).view(-1, 1, 1) for s in self.scales)
        values = _spatial(self.backbone(images))
        return ((values * std + mean) * 255).round().clamp(0, 255).to(torch.uint8)


def _spatial(features: Tensor) -> Tensor:
    return features if features.dim() == 4 else features[:, :, None, None]


def _scales(features: Tensor) -> Scales:
    """Return scales with which the range of each channel fills eight bits."""
    values = features.transpose(0, 1).flatten(1).double()
    outside = int(OUTLIERS * values.shape[1])
    ordered = values.sort(1).values
    low, high = ordered[:, outside], ordered[:, values.shape[1] - 1 - outside]
    std = 1 / (high - low).clamp(min=1e-6)
    return Scales(tuple((-low * std).tolist()), tuple(std.tolist()))
