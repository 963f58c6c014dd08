"""EfficientNet-Lite, with the shapes of its published ImageNet weights."""

from collections import OrderedDict
from collections.abc import Mapping
from math import ceil

import torch.nn.functional as F
from torch import Tensor, nn

STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
"""Blocks, kernel size, stride of the first block, expansion and output channels of each stage, at
width and depth 1."""
STEM, HEAD = 32, 1280
"""Channels after the first and after the last convolution, at any width."""
PUBLISHED = (
    ("_conv_stem.", "stem.conv."),
    ("_conv_head.", "head.conv."),
    ("_fc.", "classifier."),
    ("._expand_conv.", ".expand.conv."),
    ("._bn0.", ".expand.bn."),
    ("._depthwise_conv.", ".depthwise.conv."),
    ("._bn1.", ".depthwise.bn."),
    ("._project_conv.", ".project.conv."),
    ("._bn2.", ".project.bn."),
    ("_bn0.", "stem.bn."),
    ("_bn1.", "head.bn."),
    ("_blocks.", "blocks."),
)
"""Parts of names in the published weights, and what they are called here. Earlier rows go first."""


class PadForStride(nn.Module):
    """Pads N x C x H x W features as TensorFlow does before a convolution with stride 2.

    The output has half the size, rounded up. An odd number of rows is padded at the bottom.

    Args:
        kernel: kernel size of the convolution, an odd number.
    """

    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.kernel = kernel

    def forward(self, x: Tensor) -> Tensor:
        down = self.kernel - 2 + x.shape[-2] % 2
        across = self.kernel - 2 + x.shape[-1] % 2
        return F.pad(x, (across // 2, across - across // 2, down // 2, down - down // 2))


class Convolution(nn.Sequential):
    """A convolution with "same" padding, batch norm, and ReLU6 unless ``linear``."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        linear: bool = False,
    ) -> None:
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        if stride == 2:
            layers["pad"] = PadForStride(kernel)
        padding = kernel // 2 if stride == 1 else 0
        layers["conv"] = nn.Conv2d(
            inputs, outputs, kernel, stride, padding, groups=groups, bias=False
        )
        layers["bn"] = nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01)
        if not linear:
            layers["relu"] = nn.ReLU6()
        super().__init__(layers)


class Block(nn.Module):
    """An inverted residual: expand the channels, convolve each one, and project back.

    The input is added to the output where their shapes are equal.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.expand = nn.Identity() if expansion == 1 else Convolution(inputs, inner, 1)
        self.depthwise = Convolution(inner, inner, kernel, stride, groups=inner)
        self.project = Convolution(inner, outputs, 1, linear=True)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        out = self.project(self.depthwise(self.expand(x)))
        return x + out if self.residual else out


class EfficientNetLite(nn.Module):
    """EfficientNet-Lite: an EfficientNet with ReLU6 and without squeeze-and-excite.

    Maps N x 3 x H x W images to N x classes logits. Source: Tan and Le 2019 (arXiv:1905.11946), and
    the ``efficientnet/lite`` folder of TensorFlow's TPU models. Dropout and stochastic depth of its
    training are left out.

    >>> import torch
    >>> EfficientNetLite(classes=10).eval()(torch.zeros(1, 3, 64, 64)).shape
    torch.Size([1, 10])

    Args:
        classes: number of logits.
        width: factor of the channels of all blocks.
        depth: factor of the number of blocks in all stages but the first and the last.
    """

    def __init__(self, classes: int = 1000, width: float = 1.0, depth: float = 1.0) -> None:
        super().__init__()
        self.stem = Convolution(3, STEM, 3, stride=2)
        blocks, inputs = [], STEM
        for stage, (repeats, kernel, stride, expansion, channels) in enumerate(STAGES):
            outputs = _rounded(channels * width)
            fixed = stage in (0, len(STAGES) - 1)
            for place in range(repeats if fixed else ceil(repeats * depth)):
                blocks.append(Block(inputs, outputs, kernel, 1 if place else stride, expansion))
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.head = Convolution(inputs, HEAD, 1)
        self.classifier = nn.Linear(HEAD, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.head(self.blocks(self.stem(x))).mean((2, 3)))


def renamed(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return published weights under the names of ``EfficientNetLite``.

    >>> import torch
    >>> list(renamed({"_blocks.3._bn1.bias": torch.zeros(1)}))
    ['blocks.3.depthwise.bn.bias']
    """
    found = {}
    for name, tensor in published.items():
        for theirs, ours in PUBLISHED:
            name = name.replace(theirs, ours)
        found[name] = tensor
    return found


def _rounded(channels: float) -> int:
    """Return the nearest multiple of 8, or the next one where that is over 10 % less."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded
