"""Strided 1x1 convolutions that do not crash on a CPU."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ONEDNN_BLOCK = 16
"""Channels that oneDNN processes at once."""


class StridedPointwise(nn.Conv2d):
    """A 1x1 convolution that skips pixels by indexing, then convolves with stride 1.

    Its results equal those of ``nn.Conv2d`` bit for bit. It works around a defect of oneDNN in
    torch 2.13: the backward pass of a strided 1x1 convolution can crash the process. That happens
    in channels-last order with fewer than 16 input channels.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu" or self.weight.shape[1] >= ONEDNN_BLOCK:
            return super().forward(x)
        down, across = self.stride
        return F.conv2d(x[..., ::down, ::across], self.weight, self.bias, groups=self.groups)


def to_channels_last(network: nn.Module) -> nn.Module:
    """Convert ``network`` to channels-last memory order in place, and return it.

    Its strided 1x1 convolutions become ``StridedPointwise``.
    """
    for layer in network.modules():
        if type(layer) is nn.Conv2d and _is_strided_pointwise(layer):
            layer.__class__ = StridedPointwise
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _is_strided_pointwise(layer: nn.Conv2d) -> bool:
    return layer.kernel_size == (1, 1) and layer.stride != (1, 1) and layer.padding == (0, 0)
