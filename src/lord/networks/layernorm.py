"""Networks with layer-norm over the channels: ConvNeXt and a vision transformer."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HEAD_WIDTH = 8
"""Channels of an attention head."""


class ConvNeXtBlock(nn.Module):
    """A depthwise 7x7 convolution, layer-norm and two linear layers, with a shortcut.

    Maps N x width x H x W features to the same shape (Liu et al. 2022, arXiv:2201.03545).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 4 * width)
        self.project = nn.Linear(4 * width, width)
        self.scale = nn.Parameter(torch.full((width,), 0.1))

    def forward(self, x: Tensor) -> Tensor:
        out = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        out = self.scale * self.project(F.gelu(self.expand(out)))
        return x + out.permute(0, 3, 1, 2)


class ConvNeXt(nn.Module):
    """Two stages of two ConvNeXt blocks.

    Maps N x channels x H x W images to N x classes logits, where H and W are at least 4.
    """

    def __init__(self, classes: int, width: int = 16, channels: int = 3) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, width, 2, 2)
        self.first = nn.Sequential(ConvNeXtBlock(width), ConvNeXtBlock(width))
        self.down = nn.Conv2d(width, 2 * width, 2, 2)
        self.second = nn.Sequential(ConvNeXtBlock(2 * width), ConvNeXtBlock(2 * width))
        self.norm = nn.LayerNorm(2 * width)
        self.head = nn.Linear(2 * width, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.second(self.down(self.first(self.stem(x))))
        return self.head(self.norm(x.mean((2, 3))))


class Attention(nn.Module):
    """Multi-head self-attention over N x tokens x width features.

    The number of heads follows from the weights, so that whole heads can be removed.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.num_heads, self.head_dim = heads, HEAD_WIDTH
        self.qkv = nn.Linear(width, 3 * heads * HEAD_WIDTH)
        self.proj = nn.Linear(heads * HEAD_WIDTH, width)

    def forward(self, x: Tensor) -> Tensor:
        count, length, _ = x.shape
        qkv = self.qkv(x).reshape(count, length, 3, self.num_heads, self.head_dim)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        out = F.scaled_dot_product_attention(q, k, v)
        return self.proj(out.transpose(1, 2).reshape(count, length, -1))


class Encoder(nn.Module):
    """Attention, then two linear layers, each after a layer-norm and with a shortcut.

    Maps N x tokens x width features to the same shape.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 4 * width)
        self.project = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.project(F.gelu(self.expand(self.norm2(x))))


class VisionTransformer(nn.Module):
    """A vision transformer of three encoders (Dosovitskiy et al. 2021, arXiv:2010.11929).

    Maps N x channels x H x W images to N x classes logits. An image has at most 64 patches of
    4 x 4 pixels; a larger one raises a ``ValueError``.
    """

    def __init__(self, classes: int, width: int = 32, channels: int = 3) -> None:
        super().__init__()
        self.patches = nn.Conv2d(channels, width, 4, 4)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(0.02 * torch.randn(1, 64, width))
        heads = max(width // HEAD_WIDTH, 1)
        self.encoders = nn.Sequential(*(Encoder(width, heads) for _ in range(3)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        count, most = x.shape[1], self.positions.shape[1]
        if count > most:
            raise ValueError(f"{count} patches of 4 x 4 pixels, where at most {most} are allowed")
        x = x + self.positions[:, :count]
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1)
        return self.head(self.norm(self.encoders(x)[:, 0]))
