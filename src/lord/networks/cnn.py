"""A small convolutional network for tiny images such as the 8 x 8 digits."""

import torch.nn.functional as F
from torch import Tensor, nn

from lord.networks.resnet import BasicBlock


class SmallCNN(nn.Module):
    """A 3x3 convolution, two residual blocks, and a linear head. The second block halves the image.

    Maps N x channels x H x W images to N x classes logits, where H and W are at least 4.

    Args:
        classes: number of logits.
        width: channels of the first convolution and block. The second block has twice as many.
        channels: channels of the images.
    """

    def __init__(self, classes: int, width: int = 16, channels: int = 1) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(width)
        self.block1 = BasicBlock(width, width, 1)
        self.block2 = BasicBlock(width, 2 * width, 2)
        self.head = nn.Linear(2 * width, classes)

    def forward(self, x: Tensor) -> Tensor:
        features = self.block2(self.block1(F.relu(self.bn(self.stem(x)), inplace=True)))
        return self.head(features.mean((2, 3)))
