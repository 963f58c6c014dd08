"""Features of images from a frozen network, computed once for each image."""

import hashlib
from functools import cached_property
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lord.backbone.config import BackboneConfig
from lord.backbone.cutting import cut_network
from lord.backbone.engine import CHUNK, fastest, uses_bf16
from lord.backbone.pretrained import Pretrained
from lord.backbone.sources import is_registered, load_pretrained
from lord.backbone.store import FeatureStore
from lord.config import UserError, first_line
from lord.costs import FlopCount, stated
from lord.data.cache import cache_folder

LARGEST = 128
"""Largest side to which images are resized where no size is given. It bounds the cost."""


class Backbone:
    """The frozen part of a pretrained network, from images to features.

    Features are cached on disk by the content of the image, so a repeated image costs no time.
    Its FLOPs are counted as if it were computed.

    Args:
        config: the network, its weights and its cut.
        side: longer side of the images in pixels. It decides the size where none is given.
        device: device that computes.

    Attributes:
        stores: whether features are kept on disk. A server does not keep what it is sent.
        size: side in pixels of the squares that the network sees.
        shape: shape of an image's features: D, or C x H x W below a cut.
        flops: FLOPs of an image.
        above: the network above the cut, with its weights.

    Raises:
        UserError: if the network cannot be loaded or cut, or does not accept images of this size.
    """

    def __init__(
        self, config: BackboneConfig, side: int, device: torch.device | str = "cpu"
    ) -> None:
        self.config, self.device, self.stores = config, torch.device(device), True
        self.pretrained = load_pretrained(config)
        self.size = config.backbone_size or default_size(side)
        try:
            below, self.above = self._cut()
        except UserError:
            raise
        except Exception as error:  # many networks accept only one size
            if config.backbone_size or self.size == self.pretrained.size:
                raise UserError(
                    f"{config.backbone} does not accept images of {self.size} px: "
                    f"{first_line(error)}",
                    field="backbone_size",
                    given=self.size,
                    hint=f"set {self.pretrained.size}",
                ) from None
            self.size = self.pretrained.size
            below, self.above = self._cut()
        self.network = Normalised(below, self.pretrained).eval().to(self.device)
        with torch.no_grad(), FlopCount() as count:
            features = self.network(self._example(1).to(self.device))
        self.flops, self.shape = count.total, tuple(features.shape[1:])
        self._scale = f"{float(features.abs().mean()):.3g}"

    def __deepcopy__(self, memo: Any) -> Self:
        return self  # frozen, so a copy of a method shares it

    @cached_property
    def digest(self) -> str:
        """Hash of the weights and of everything else that features depend on."""
        p, parts = self.pretrained, [self.pretrained.digest, self.size, self.config.cut]
        parts += [p.mean, p.std, p.interpolation, uses_bf16(self.device)]
        if is_registered(self.config.backbone):  # its code can change, and its weights stay
            parts.append(self._scale)
        return hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest()

    def __call__(self, images: Tensor) -> Tensor:
        """Return the features of N x C x H x W uint8 images, N x ``shape`` float32."""
        with stated(len(images) * self.flops):
            if not self.stores:
                parts = [self._compute(part).cpu() for part in images.split(CHUNK)]
                return torch.cat(parts).view(len(images), *self.shape).to(images.device)
            keys = [_key(image) for image in images.cpu()]
            known = self._store.find(keys)
            missing = list({key: row for row, key in enumerate(keys) if key not in known}.values())
            for start in range(0, len(missing), CHUNK):
                rows = missing[start : start + CHUNK]
                found = self._compute(images[rows]).cpu().numpy()
                new = {keys[row]: found[place].tobytes() for place, row in enumerate(rows)}
                self._store.add(new)
                known |= new
            joined = b"".join(known[key] for key in keys)
        features = torch.from_numpy(np.frombuffer(bytearray(joined), np.float32))
        return features.view(len(images), *self.shape).to(images.device)

    def forget(self, images: Tensor) -> None:
        """Remove the features of N x C x H x W uint8 images from the cache on disk.

        Raises:
            UserError: if it cannot be written.
        """
        self._store.remove([_key(image) for image in images.cpu()])

    def prepared(self, images: Tensor) -> Tensor:
        """Return uint8 images as the network takes them: N x 3 x size x size, 0 to 255 float32.

        Raises:
            UserError: if they have more channels than the network, without transparency.
        """
        x = images.float()
        channels = self.pretrained.channels
        if x.shape[1] > channels + 1:
            raise UserError(
                f"images have {x.shape[1]} channels, and '{self.pretrained.name}' takes {channels}",
                field="backbone",
                hint="leave the backbone out",
            )
        if x.shape[1] > channels:  # the last one is transparency
            x = x[:, :channels]
        elif x.shape[1] < channels:
            x = x[:, :1].expand(-1, channels, -1, -1)
        if x.shape[2:] != (self.size, self.size):
            mode, sides = self.pretrained.interpolation, (self.size, self.size)
            x = F.interpolate(x, sides, mode=mode, antialias=True).clamp(0, 255)
        return x

    @cached_property
    def _store(self) -> FeatureStore:
        return FeatureStore(cache_folder() / f"features-{self.digest}.sqlite")

    @cached_property
    def _compute_prepared(self) -> Any:
        return fastest(self.network, self._example(2).to(self.device), self.digest)

    def _compute(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            return self._compute_prepared(self.prepared(images.to(self.device)))

    def _cut(self) -> tuple[nn.Module, nn.Module]:
        cut = None if self.config.cut is None else str(self.config.cut)
        with torch.no_grad():
            return cut_network(self.pretrained.network, cut, self._example(2) / 255)

    def _example(self, rows: int) -> Tensor:
        generator = torch.Generator().manual_seed(0)
        shape = (rows, self.pretrained.channels, self.size, self.size)
        return torch.randint(0, 256, shape, generator=generator).float()


class Normalised(nn.Module):
    """A network that takes pixels from 0 to 255, and normalises them first."""

    scale: Tensor
    shift: Tensor

    def __init__(self, network: nn.Module, pretrained: Pretrained) -> None:
        super().__init__()
        self.network = network
        mean, std = (
            torch.tensor(each).view(-1, 1, 1) for each in (pretrained.mean, pretrained.std)
        )
        self.register_buffer("scale", 1 / (255 * std))
        self.register_buffer("shift", -mean / std)

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x * self.scale + self.shift)


def default_size(side: int) -> int:
    """Return the side to which images are resized: three times their own, from 64 to 128 px.

    >>> [default_size(side) for side in (8, 32, 64, 500)]
    [64, 96, 128, 128]
    """
    return min(max(32 * round(3 * side / 32), 64), LARGEST)


def _key(image: Tensor) -> bytes:
    digest = hashlib.blake2b(repr(tuple(image.shape)).encode(), digest_size=16)
    digest.update(image.contiguous().numpy().data)
    return digest.digest()
