"""The images and labels a learner accepts."""

import hashlib
import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lord.config import UserError

SMALLEST = 4
"""Pixels of the shorter side of an image, at least."""
Images = Tensor | NDArray[np.uint8]
"""N x C x H x W or N x H x W x C uint8, a tensor or a NumPy array.

The channels stand last where the last dimension is at most 4 and the second is more than 4."""
LAYOUTS = "N x C x H x W or N x H x W x C uint8, a tensor or a NumPy array"


def as_images(images: object, shape: tuple[int, int, int] | None) -> Tensor:
    """Return images as a tensor, N x C x H x W uint8.

    >>> as_images(np.zeros((5, 8, 9, 3), np.uint8), None).shape
    torch.Size([5, 3, 8, 9])

    Args:
        images: see ``Images``.
        shape: channels, height and width they must have; None before the first session.

    Raises:
        UserError: for anything else.
    """
    if isinstance(images, np.ndarray) and images.dtype == np.uint8:
        images = torch.from_numpy(np.require(images, requirements=["C", "W"]))
    if not isinstance(images, Tensor) or images.dtype != torch.uint8 or images.dim() != 4:
        kind = f"a {type(images).__name__} of {getattr(images, 'dtype', 'no dtype')}"
        size = getattr(images, "shape", None)
        problem = f"got {kind}" + (f" and shape {tuple(size)}" if size else "")
        raise UserError(problem, field="images", allowed=LAYOUTS)
    if images.layout != torch.strided or images.is_meta:
        raise UserError("got a tensor that is sparse or has no values", field="images")
    if images.shape[1] > 4 >= images.shape[3] > 0:
        images = images.permute(0, 3, 1, 2).contiguous()
    if shape is None and (not images.shape[1] or min(images.shape[2:]) < SMALLEST):
        raise UserError(
            field="images",
            given=tuple(images.shape),
            allowed=f"N x C x H x W with sides of at least {SMALLEST} pixels",
        )
    if shape is not None and tuple(images.shape[1:]) != shape:
        raise UserError(
            field="images",
            given=tuple(images.shape),
            allowed=f"N x {' x '.join(map(str, shape))}, like the images before",
        )
    return images


def class_names(labels: object, images: int) -> list[str]:
    """Return the class names of a number of images as plain strings.

    Raises:
        UserError: if a label is not a name, or there is not one for each image.
    """
    allowed = "a class name for each image"
    if isinstance(labels, str) or not isinstance(labels, Iterable):
        raise UserError(field="labels", given=labels, allowed=allowed)
    names = list(labels)
    for name in names:
        if not (isinstance(name, str) and name.isprintable() and name != ""):
            number = isinstance(name, int | np.integer) and not isinstance(name, bool)
            hint = "turn numbers into text, as in map(str, labels)" if number else None
            raise UserError(field="labels", given=name, allowed=allowed, hint=hint)
    if not images or len(names) != images:
        raise UserError(
            f"got {len(names)} for {images} images",
            field="labels",
            allowed="one for each image, and at least one image",
        )
    # One name may have several Unicode forms, and NumPy has another string type.
    return [unicodedata.normalize("NFC", str(name)) for name in names]


def fingerprint(images: Tensor, labels: Sequence[str]) -> str:
    """Return a hash that differs where images or labels differ."""
    digest = hashlib.blake2b("\0".join(labels).encode(), digest_size=16)
    digest.update(images.cpu().contiguous().numpy().data)
    return digest.hexdigest()
