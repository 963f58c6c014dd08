"""Networks that normalise each place over its channels: ConvNeXt and a vision transformer."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HEAD = 8
"""Width of an attention head."""


class ConvNeXtBlock(nn.Module):
    """A depthwise 7x7 convolution, layer-norm, two linear layers (Liu et al. 2022)."""

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
    """Two stages of two blocks. Maps N x channels x H x W images to N x classes logits."""

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
    """Multi-head self-attention. Heads are units: how many there are follows from the weights."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.num_heads, self.head_dim = heads, HEAD
        self.qkv = nn.Linear(width, 3 * heads * HEAD)
        self.proj = nn.Linear(heads * HEAD, width)

    def forward(self, x: Tensor) -> Tensor:
        count, length, _ = x.shape
        qkv = self.qkv(x).reshape(count, length, 3, self.num_heads, self.head_dim)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        out = F.scaled_dot_product_attention(q, k, v)
        return self.proj(out.transpose(1, 2).reshape(count, length, -1))


class Encoder(nn.Module):
    """Attention and two linear layers, each beside a shortcut and after a layer-norm."""

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
    """Patches, a class token, positions, encoders (Dosovitskiy et al. 2021).

    Maps N x channels x H x W images, of at most 64 patches of 4 x 4, to N x classes logits.
    """

    def __init__(self, classes: int, width: int = 32, channels: int = 3) -> None:
        super().__init__()
        self.patches = nn.Conv2d(channels, width, 4, 4)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(0.02 * torch.randn(1, 64, width))
        heads = max(width // HEAD, 1)
        self.encoders = nn.Sequential(*(Encoder(width, heads) for _ in range(3)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        if x.shape[1] > self.positions.shape[1]:
            raise ValueError(f"at most 64 patches of 4 x 4 pixels, got {x.shape[1]}")
        x = x + self.positions[:, : x.shape[1]]
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1)
        return self.head(self.norm(self.encoders(x)[:, 0]))
