"""Strided 1x1 convolutions that are safe on a CPU."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ONEDNN_BLOCK = 16


class StridedPointwise(nn.Conv2d):
    """A 1x1 convolution that leaves out the pixels its stride passes over, then convolves the rest.

    Same numbers, bit for bit. In oneDNN's own, as torch 2.13 has it, the gradient of one that is
    in channels-last order, from fewer channels than oneDNN takes at once and larger than 44
    pixels, is written past the end of its memory, and the process dies.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu" or self.weight.shape[1] >= ONEDNN_BLOCK:
            return super().forward(x)
        down, across = self.stride
        return F.conv2d(x[..., ::down, ::across], self.weight, self.bias, groups=self.groups)


def in_channels_last(network: nn.Module) -> nn.Module:
    """Put ``network`` in channels-last memory order, its strided 1x1 convolutions made safe."""
    for layer in network.modules():
        if type(layer) is nn.Conv2d and _strided_pointwise(layer):
            layer.__class__ = StridedPointwise
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _strided_pointwise(layer: nn.Conv2d) -> bool:
    return layer.kernel_size == (1, 1) and layer.stride != (1, 1) and layer.padding == (0, 0)
