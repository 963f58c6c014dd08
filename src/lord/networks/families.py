"""Small networks of other families.

Each is called with the number of classes, the width and the images' channels. Each maps
N x channels x H x W images to N x classes logits.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def conv_bn(
    inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1
) -> nn.Module:
    """Return a convolution without a bias, followed by batch-norm.

    It maps N x inputs x H x W features to N x outputs x H/stride x W/stride. ``kernel`` is the side
    of the kernel in pixels.
    """
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


class MLP(nn.Module):
    """Two hidden layers of 4 * width units, on the image averaged down to 8 x 8 pixels."""

    def __init__(self, classes: int, width: int = 64, channels: int = 3) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(8)
        self.first = nn.Linear(64 * channels, 4 * width)
        self.second = nn.Linear(4 * width, 4 * width)
        self.head = nn.Linear(4 * width, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.first(self.pool(x).flatten(1)))
        return self.head(F.relu(self.second(x)))


class VGG(nn.Module):
    """Pairs of convolutions with batch-norm, max-pooling after each pair, and a hidden layer.

    After Simonyan & Zisserman 2015, arXiv:1409.1556.
    """

    def __init__(self, classes: int, width: int = 16, channels: int = 3) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        last = channels
        for size in (width, 2 * width, 4 * width):
            layers += [conv_bn(last, size), nn.ReLU(), conv_bn(size, size), nn.ReLU()]
            layers.append(nn.MaxPool2d(2, ceil_mode=True))
            last = size
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(2)
        self.hidden = nn.Linear(4 * last, 4 * width)
        self.head = nn.Linear(4 * width, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.features(x)).flatten(1)
        return self.head(F.relu(self.hidden(x)))


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions with a shortcut (He et al. 2016, arXiv:1512.03385).

    Args:
        squeeze: add squeeze-and-excitation (Hu et al. 2018, arXiv:1709.01507).
    """

    def __init__(self, inputs: int, inner: int, outputs: int, stride: int, squeeze: bool) -> None:
        super().__init__()
        self.reduce = conv_bn(inputs, inner, 1)
        self.conv = conv_bn(inner, inner, 3, stride)
        self.expand = conv_bn(inner, outputs, 1)
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else conv_bn(inputs, outputs, 1, stride)
        self.squeeze = nn.Conv2d(outputs, max(outputs // 4, 4), 1) if squeeze else None
        self.excite = nn.Conv2d(max(outputs // 4, 4), outputs, 1) if squeeze else None

    def forward(self, x: Tensor) -> Tensor:
        out = self.expand(F.relu(self.conv(F.relu(self.reduce(x)))))
        if self.squeeze is not None and self.excite is not None:
            gate = self.excite(F.relu(self.squeeze(out.mean((2, 3), keepdim=True))))
            out = out * gate.sigmoid()
        return F.relu(out + self.shortcut(x))


class BottleneckNet(nn.Module):
    """A ResNet of three stages of two bottleneck blocks, each four times narrower inside.

    The blocks of the first stage have 4 * width channels, and width inside.
    """

    squeeze = False

    def __init__(self, classes: int, width: int = 8, channels: int = 3) -> None:
        super().__init__()
        self.stem = conv_bn(channels, 4 * width)
        blocks, last = [], 4 * width
        for stage in range(3):
            inner = width << stage
            for place in range(2):
                stride = 2 if stage and not place else 1
                blocks.append(Bottleneck(last, inner, 4 * inner, stride, self.squeeze))
                last = 4 * inner
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(last, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(F.relu(self.stem(x))).mean((2, 3)))


class SqueezeNet(BottleneckNet):
    """A ``BottleneckNet`` with squeeze-and-excitation (Hu et al. 2018, arXiv:1709.01507)."""

    squeeze = True


class InvertedResidual(nn.Module):
    """Expansion, depthwise 3x3 convolution and projection, with a shortcut if shapes allow.

    After Sandler et al. 2018, arXiv:1801.04381.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int = 4) -> None:
        super().__init__()
        inner = inputs * expansion
        self.expand = conv_bn(inputs, inner, 1)
        self.depthwise = conv_bn(inner, inner, 3, stride, groups=inner)
        self.project = conv_bn(inner, outputs, 1)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        out = self.project(F.relu6(self.depthwise(F.relu6(self.expand(x)))))
        return x + out if self.residual else out


class MobileNet(nn.Module):
    """Inverted residual blocks at three resolutions, as in MobileNetV2."""

    def __init__(self, classes: int, width: int = 16, channels: int = 3) -> None:
        super().__init__()
        self.stem = conv_bn(channels, width)
        blocks, last = [], width
        for stage, size in enumerate((width, 2 * width, 4 * width)):
            first = InvertedResidual(last, size, stride=2 if stage else 1)
            blocks += [first, InvertedResidual(size, size, stride=1)]
            last = size
        self.blocks = nn.Sequential(*blocks)
        self.last = conv_bn(last, 2 * last, 1)
        self.head = nn.Linear(2 * last, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(F.relu6(self.stem(x)))
        return self.head(F.relu6(self.last(x)).mean((2, 3)))


class DenseNet(nn.Module):
    """Layers that read the outputs of all earlier ones (Huang et al. 2017, arXiv:1608.06993).

    Args:
        width: channels that each layer adds.
    """

    def __init__(self, classes: int, width: int = 8, channels: int = 3) -> None:
        super().__init__()
        self.stem = conv_bn(channels, 2 * width)
        self.layers = nn.ModuleList()
        self.transitions = nn.ModuleList()
        last = 2 * width
        for stage in range(3):
            block = nn.ModuleList(conv_bn(last + width * place, width) for place in range(3))
            last += 3 * width
            self.layers.append(block)
            if stage < 2:
                self.transitions.append(conv_bn(last, last // 2, 1))
                last //= 2
        self.head = nn.Linear(last, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        for stage, block in enumerate(self.layers):
            assert isinstance(block, nn.ModuleList)
            for layer in block:
                x = torch.cat([x, F.relu(layer(x))], 1)
            if stage < len(self.transitions):
                x = F.max_pool2d(F.relu(self.transitions[stage](x)), 2, ceil_mode=True)
        return self.head(x.mean((2, 3)))
