"""Residual networks for small images (He et al. 2016, arXiv:1512.03385)."""

import torch.nn.functional as F
from torch import Tensor, nn


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut.

    If input and output differ in shape, the shortcut is a 1x1 convolution. Maps
    N x channels_in x H x W features to N x channels_out x H/stride x W/stride.
    """

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.shortcut = nn.Sequential()
        if stride != 1 or channels_in != channels_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, stride, bias=False),
                nn.BatchNorm2d(channels_out),
            )

    def forward(self, x: Tensor) -> Tensor:
        # In place moves less memory. It is used if no gradient needs the overwritten values.
        inner = F.relu(self.bn1(self.conv1(x)), inplace=True)
        out = self.bn2(self.conv2(inner))
        return F.relu(out.add_(self.shortcut(x)), inplace=True)


class ResNet18(nn.Module):
    """The paper's ResNet-18, with a 3x3 stem of stride 1, no max-pool, and one linear head.

    Maps N x channels x H x W images to N x classes logits.

    >>> import torch
    >>> ResNet18(classes=10, width=4)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])

    Args:
        classes: number of logits: the classes of all tasks.
        width: channels of the first stage. Each later stage has twice as many as the one before.
        channels: channels of the images.
    """

    blocks: tuple[int, ...] = (2, 2, 2, 2)
    """Residual blocks of each stage."""
    kernel, stride = 3, 1
    """Side of the stem's kernel, and its stride, in pixels."""

    def __init__(self, classes: int, width: int = 64, channels: int = 3) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, width, self.kernel, self.stride, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(width)
        stages, inputs = [], width
        for stage, blocks in enumerate(self.blocks):
            outputs = width << stage
            first = BasicBlock(inputs, outputs, stride=2 if stage else 1)
            others = (BasicBlock(outputs, outputs, stride=1) for _ in range(blocks - 1))
            stages.append(nn.Sequential(first, *others))
            inputs = outputs
        self.stages = nn.Sequential(*stages)
        self.head = nn.Linear(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:
        features = self.stages(F.relu(self.bn(self.stem(x)), inplace=True))
        return self.head(features.mean((2, 3)))


class ResNet8(ResNet18):
    """A shallow ResNet for few FLOPs: three stages of one block, and a 4x4 stem of stride 2.

    At the same width it has about a tenth of the FLOPs of ``ResNet18``.
    """

    blocks = (1, 1, 1)
    kernel, stride = 4, 2
