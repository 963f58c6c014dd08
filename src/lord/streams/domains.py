"""Streams in which classes recur: the same classes in other domains, or gradual change."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

WIDTH = 0.08
"""Standard deviation in time of a class's frequency, as a share of the stream."""
RARE = 0.05
"""A class is absent while its frequency is below this share of its maximum."""


def permutation(shape: Sequence[int], generator: Generator) -> Tensor:
    """Return a random order of an image's pixels, H * W int64.

    Args:
        shape: channels, height and width of the image.
        generator: on the CPU.
    """
    return torch.randperm(shape[1] * shape[2], generator=generator)


def permuted(images: Tensor, order: Tensor) -> Tensor:
    """Reorder the pixels of all images and channels in the same way.

    Args:
        images: N x C x H x W.
        order: H * W int64.
    """
    return images.flatten(2)[:, :, order].view(images.shape)


def rotated(images: Tensor, degrees: float) -> Tensor:
    """Rotate images about their centre, with bilinear interpolation and black corners.

    Args:
        images: N x C x H x W uint8.
        degrees: counter-clockwise.
    """
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    turn = torch.tensor([[[cos, -sin, 0.0], [sin, cos, 0.0]]])
    parts = []
    for part in images.split(4096):
        grid = F.affine_grid(turn.expand(len(part), 2, 3), list(part.shape), align_corners=False)
        turned = F.grid_sample(part.float(), grid, mode="bilinear", align_corners=False)
        parts.append(turned.round().clamp(0, 255).to(torch.uint8))
    return torch.cat(parts)


def presence(classes: int, segments: int) -> Tensor:
    """Return the share of each class's images in each segment: classes x segments, float32.

    Classes come one after another, and each rises and falls gradually. Those of the first half
    recur half a stream later. Each row adds up to 1.

    >>> presence(4, 4).round(decimals=1).tolist()[3]
    [0.0, 0.0, 0.0, 1.0]
    """
    times = (torch.arange(segments) + 0.5) / segments
    centres = (torch.arange(classes) + 0.5) / classes
    again = torch.where(centres < 0.5, centres + 0.5, centres)
    bumps = [(-((times - c[:, None]) ** 2) / (2 * WIDTH**2)).exp() for c in (centres, again)]
    weights = torch.maximum(*bumps)
    weights = weights * (weights >= RARE * weights.max(1, keepdim=True).values)
    return weights / weights.sum(1, keepdim=True)


def drifting(labels: Tensor, order: list[int], segments: int, generator: Generator) -> list[Tensor]:
    """Distribute all images over segments, with classes that come, go and recur gradually.

    Args:
        labels: N int64.
        order: the classes, in the order in which they first appear.
        segments: number of segments.
        generator: on the CPU; decides which images of a class go to which segment.

    Returns:
        The rows of each segment, ascending. Each row is in exactly one segment.
    """
    rows: list[list[Tensor]] = [[] for _ in range(segments)]
    for label, shares in zip(order, presence(len(order), segments), strict=True):
        of_class = (labels == label).nonzero().flatten()
        of_class = of_class[torch.randperm(len(of_class), generator=generator)]
        ends = (shares.cumsum(0) * len(of_class)).round().long()
        ends[-1] = len(of_class)
        starts = torch.cat([ends.new_zeros(1), ends[:-1]])
        for segment, (start, end) in enumerate(zip(starts, ends, strict=True)):
            if shares[segment] > 0:
                rows[segment].append(of_class[start:end])
    return [torch.cat(parts).sort().values if parts else labels[:0] for parts in rows]
