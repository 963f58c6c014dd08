"""First weights of the convolution that reads the images."""

import math

import torch
from torch import Tensor, nn

from lord.config import UserError


@torch.no_grad()
def start_from_frequencies(network: nn.Module, channels: int) -> None:
    """Set the first convolution of a network to the lowest frequencies of the images, in place.

    Neighbouring pixels are alike, so filters with random weights mostly measure the same: the
    brightness. The filters of a discrete cosine transform (DCT) measure different things, and the
    first ones those that vary most: brightness, gradients and colour. A student that starts narrow
    begins with these. Jordan (2024, arXiv:2404.00498) whitens the first layer by the training
    images; this needs none.

    Filters have the norm that PyTorch gives them on average. A convolution with more filters than
    values in a window keeps random weights for the rest.

    Args:
        network: network whose first convolution reads the images.
        channels: channels of the images.

    Raises:
        UserError: if no convolution without groups, larger than a pixel, reads the images.
    """
    for layer in network.modules():
        if not isinstance(layer, nn.Conv2d):
            continue
        if layer.in_channels != channels or layer.groups > 1 or layer.kernel_size == (1, 1):
            break
        filters = frequencies(channels, *layer.kernel_size)[: layer.out_channels]
        layer.weight[: len(filters)] = filters / math.sqrt(3)
        return
    raise UserError(
        "has no first convolution that reads the images",
        field="network",
        given=type(network).__name__,
        hint="leave out `stem`",
    )


def frequencies(*shape: int) -> Tensor:
    """Return the filters of the DCT-II of a shape, of norm 1, from the lowest frequency.

    They are ordered by the sum of the squared frequencies over the dimensions.

    >>> frequencies(1, 2, 2).flatten(1)
    tensor([[ 0.5000,  0.5000,  0.5000,  0.5000],
            [ 0.5000, -0.5000,  0.5000, -0.5000],
            [ 0.5000,  0.5000, -0.5000, -0.5000],
            [ 0.5000, -0.5000, -0.5000,  0.5000]])
    """
    places = torch.cartesian_prod(*(torch.arange(size) for size in shape))
    filters = torch.ones(1)
    for size in shape:
        filters = torch.kron(filters, _cosines(size))
    order = torch.argsort(places.square().sum(1), stable=True)
    return filters.view(-1, *shape)[order]


def _cosines(size: int) -> Tensor:
    """Return the rows of the DCT-II matrix, each of norm 1."""
    number = torch.arange(size)
    rows = torch.cos(math.pi / size * number[:, None] * (number + 0.5))
    return rows / rows.norm(dim=1, keepdim=True)
