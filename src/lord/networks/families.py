"""Small members of other families of networks, each to be called with (classes, width, channels).

All map N x channels x H x W images to N x classes logits.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def conv_bn(
    inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1
) -> nn.Module:
    """A convolution without bias and its batch-norm."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


class MLP(nn.Module):
    """Two hidden layers on the image averaged down to 8 x 8."""

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
    """Pairs of convolutions with batch-norm, pooling between them, a flat classifier."""

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
    """1x1, 3x3, 1x1 convolutions beside a shortcut; with squeeze-and-excitation if asked."""

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
    """A ResNet of bottleneck blocks, four times as wide outside as inside."""

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
    """The same with squeeze-and-excitation (Hu et al. 2018)."""

    squeeze = True


class Inverted(nn.Module):
    """Expand, filter each channel by itself, project (Sandler et al. 2018)."""

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
    """Inverted residual blocks on three resolutions, as MobileNetV2."""

    def __init__(self, classes: int, width: int = 16, channels: int = 3) -> None:
        super().__init__()
        self.stem = conv_bn(channels, width)
        blocks, last = [], width
        for stage, size in enumerate((width, 2 * width, 4 * width)):
            blocks += [Inverted(last, size, 2 if stage else 1), Inverted(size, size, 1)]
            last = size
        self.blocks = nn.Sequential(*blocks)
        self.last = conv_bn(last, 2 * last, 1)
        self.head = nn.Linear(2 * last, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(F.relu6(self.stem(x)))
        return self.head(F.relu6(self.last(x)).mean((2, 3)))


class DenseNet(nn.Module):
    """Layers that read all before them, concatenated (Huang et al. 2017)."""

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
