"""Random small networks of layers whose channels are kept or dropped together, for tests."""

import random

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def tokens(x: Tensor) -> Tensor:
    """Return N x C x H x W features as N x tokens x C."""
    return x.flatten(2).transpose(1, 2)


class Normed(nn.Module):
    """Two convolutions with group norm."""

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, 2 * width, 3, padding=1)
        self.norm1 = nn.GroupNorm(groups, 2 * width)
        self.conv2 = nn.Conv2d(2 * width, width, 1, bias=False)
        self.norm2 = nn.GroupNorm(2 * groups, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))


class Grouped(nn.Module):
    """A grouped convolution between two others, as in ResNeXt, and one with two outputs each."""

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(width, width, 1)
        self.conv = nn.Conv2d(width, 2 * width, 3, padding=1, groups=groups)
        self.norm = nn.BatchNorm2d(2 * width)
        self.wide = nn.Conv2d(2 * width, 4 * width, 3, padding=1, groups=2 * width)
        self.each = nn.Conv2d(4 * width, 4 * width, 3, padding=1, groups=4 * width)
        self.expand = nn.Conv2d(4 * width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(self.conv(F.relu(self.reduce(x)))))
        return self.expand(self.each(F.relu(self.wide(x))))


class Stream(nn.Module):
    """A grouped convolution that reads and writes the residual stream."""

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.conv(x))


class MultiHead(nn.Module):
    """PyTorch's attention over the pixels. Its keys come from other channels."""

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.memory = nn.Conv2d(width, 10, 2, 2)
        self.attention = nn.MultiheadAttention(width, groups, batch_first=True, add_bias_kv=True)
        self.other = nn.MultiheadAttention(width, groups, bias=False, kdim=10, vdim=10)

    def forward(self, x: Tensor) -> Tensor:
        query, memory = tokens(x), tokens(self.memory(x))
        out, _ = self.attention(query, query, value=query)
        query, memory = out.transpose(0, 1), memory.transpose(0, 1)
        out = out + self.other(query, memory, memory, need_weights=False)[0].transpose(0, 1)
        return out.transpose(1, 2).reshape(x.shape)


class Separate(nn.Module):
    """Attention with a layer each for queries, keys and values. Its heads are as wide as set."""

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.heads = groups
        self.to_q, self.to_k = nn.Linear(width, 4 * groups), nn.Linear(width, 4 * groups)
        self.to_v = nn.Linear(width, 4 * groups, bias=False)
        self.to_out = nn.Linear(4 * groups, width)

    def forward(self, x: Tensor) -> Tensor:
        x, shape = tokens(x), x.shape
        parts = (layer(x) for layer in (self.to_q, self.to_k, self.to_v))
        q, k, v = (part.view(*part.shape[:2], self.heads, 4).transpose(1, 2) for part in parts)
        out = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return self.to_out(out).transpose(1, 2).reshape(shape)


class Divided(nn.Module):
    """Attention whose code divides its input's channels by the number of heads."""

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.num_heads = groups
        self.query, self.key = nn.Linear(width, width), nn.Linear(width, width)
        self.value, self.dense = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        shape = (n, h * w, self.num_heads, c // self.num_heads)
        x = tokens(x)
        q, k, v = (f(x).reshape(shape).transpose(1, 2) for f in (self.query, self.key, self.value))
        weights = (q @ k.transpose(-2, -1) / shape[-1] ** 0.5).softmax(-1)
        out = (weights @ v).transpose(1, 2).reshape(n, h * w, c)
        return self.dense(out).transpose(1, 2).reshape(n, c, h, w)


class Joint(Divided):
    """Attention with one layer for queries, keys and values, whose code divides likewise."""

    def __init__(self, width: int, groups: int) -> None:
        nn.Module.__init__(self)
        self.num_heads = groups
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        qkv = self.qkv(tokens(x)).reshape(n, h * w, 3, self.num_heads, c // self.num_heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        out = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, h * w, c)
        return self.proj(out).transpose(1, 2).reshape(n, c, h, w)


BLOCKS = (Normed, Grouped, Stream, MultiHead, Separate, Divided, Joint)


class RandomNetwork(nn.Module):
    """Residual blocks of random kinds on 24 channels, then a head.

    Maps N x 2 x 8 x 8 images to N x 5 logits. No layer normalises over all channels.
    """

    def __init__(self, seed: int, *kinds: type[nn.Module]) -> None:
        super().__init__()
        draw = random.Random(seed)
        kinds = kinds or tuple(draw.sample(BLOCKS, 2))
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.stem = nn.Conv2d(2, 24, 2, 2)
            groups = draw.choice((2, 3, 4))
            self.blocks = nn.ModuleList(kind(24, groups) for kind in kinds)
            self.norm = nn.GroupNorm(2 * groups, 24)
            self.head = nn.Linear(24, 5)
            for tensor in self.state_dict().values():  # as if trained
                if tensor.dim() == 1:
                    tensor += 0.2 * torch.rand(tensor.shape)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = x + block(x)
        return self.head(self.norm(x).mean((2, 3)))
