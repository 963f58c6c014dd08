"""Tasks of one set of classes: shown ever differently, or coming and going."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

WIDTH = 0.08
"""Of the time for which a class is frequent, as a share of the stream (a standard deviation)."""
RARE = 0.05
"""Classes rarer than this share of their most frequent time are absent."""


def permutation(shape: Sequence[int], generator: Generator) -> Tensor:
    """A random order of the pixels of images of C x H x W."""
    return torch.randperm(shape[1] * shape[2], generator=generator)


def permuted(images: Tensor, order: Tensor) -> Tensor:
    """All images with their pixels in one order, the same for all and all channels."""
    return images.flatten(2)[:, :, order].view(images.shape)


def rotated(images: Tensor, degrees: float) -> Tensor:
    """All images turned about their centre, black around them, bilinearly interpolated.

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
    """How frequent each class is in each segment of a stream without tasks: classes x segments.

    Classes come one after another, each rising and falling gradually; those of the first half
    come back half a stream later. Entries are shares of a class's own images; rows add up to 1.

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
    """Rows of each segment: every image once, classes changing gradually and coming back.

    Args:
        labels: N int64.
        order: the classes, in the order they first come.
        segments: their number.
        generator: on the CPU; which image of a class comes when.
    """
    rows: list[list[Tensor]] = [[] for _ in range(segments)]
    for label, shares in zip(order, presence(len(order), segments), strict=True):
        own = (labels == label).nonzero().flatten()
        own = own[torch.randperm(len(own), generator=generator)]
        ends = (shares.cumsum(0) * len(own)).round().long()
        ends[-1] = len(own)
        starts = torch.cat([ends.new_zeros(1), ends[:-1]])
        for segment, (start, end) in enumerate(zip(starts, ends, strict=True)):
            if shares[segment] > 0:
                rows[segment].append(own[start:end])
    return [torch.cat(parts).sort().values if parts else labels[:0] for parts in rows]
