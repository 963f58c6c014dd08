"""The images and labels a learner accepts."""

import hashlib
import os
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from lord.config import RefusedError, UserError
from lord.data import BadFile, BadFilesError, Encoded, decode_each, pixels_of

BATCH = 256
"""Images that are predicted at a time, to bound memory."""
SMALLEST = 4
"""Pixels of the shorter side of an image, at least."""
COLOUR = "it is in colour; this learner has learned grey images"
Images = Tensor | NDArray[np.uint8]
"""N x C x H x W or N x H x W x C uint8, a tensor or a NumPy array.

The channels stand last where the last dimension is at most 4 and the second is more than 4."""
LAYOUTS = "N x C x H x W or N x H x W x C uint8, a tensor or a NumPy array"
Picture = str | os.PathLike[str] | Image.Image | Tensor | NDArray[np.uint8]
"""One image: a file's path, a PIL image, or a uint8 array of any size, C x H x W, H x W x C or
H x W."""
AnyImages = Images | Picture | Iterable[Picture]
"""Images to predict: an array of N images of any size, one picture, or pictures of many sizes."""
PICTURES = "paths, PIL images, or uint8 arrays of C x H x W, H x W x C or H x W"


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


def batches(images: object, shape: tuple[int, int, int]) -> Iterator[Tensor]:
    """Yield images of any kind and size in parts of at most ``BATCH``, N x C x H x W uint8.

    They are turned upright, resized and given channels, as ``lord learn`` does it.

    >>> parts = batches([np.zeros((9, 7), np.uint8), Image.new("RGB", (5, 6))], (3, 8, 8))
    >>> [part.shape for part in parts]
    [torch.Size([2, 3, 8, 8])]

    Args:
        images: see ``AnyImages``.
        shape: channels, height and width that were learned.

    Raises:
        UserError: for anything else, or a file that cannot be read. It names the file.
    """
    if isinstance(images, np.ndarray) and images.dtype.kind in "UO":
        images = images.tolist()
    if isinstance(images, np.ndarray | Tensor):
        for part in as_images(images, None).split(BATCH):
            yield matched(_resized(part, shape[1:]), shape[0])
        return
    if isinstance(images, str | os.PathLike | Image.Image):
        images = [images]
    if not isinstance(images, Iterable) or isinstance(images, bytes):
        problem = f"got a {type(images).__name__}"
        raise UserError(problem, field="images", allowed=f"{LAYOUTS}, or a list of {PICTURES}")
    rest = iter(images)
    while some := list(islice(rest, BATCH)):
        yield torch.cat(list(_pictures(some, shape)))


def read_pictures(
    pictures: Sequence[Encoded], shape: tuple[int, int, int]
) -> list[Tensor | BadFile]:
    """Read each picture as 1 x C x H x W uint8, or say why it cannot be used.

    Args:
        pictures: name in messages, and a function that reads the bytes, of each.
        shape: channels, height and width that were learned.
    """
    found: list[Tensor | BadFile] = []
    for (name, _), pixels in zip(pictures, decode_each(pictures, shape[1:]), strict=True):
        try:
            if isinstance(pixels, BadFile):
                found.append(pixels)
            else:
                found.append(matched(_tensor(pixels), shape[0]))
        except UserError as error:
            found.append(BadFile(name, error.problem))
    return found


def _pictures(images: Sequence[object], shape: tuple[int, int, int]) -> Iterator[Tensor]:
    """Yield each picture, 1 x C x H x W uint8. Files are decoded together."""
    paths = [Path(each) for each in images if isinstance(each, str | os.PathLike)]
    read = iter(read_pictures([(str(path), path.read_bytes) for path in paths], shape))
    for each in images:
        if isinstance(each, str | os.PathLike):
            found = next(read)
            if isinstance(found, BadFile):
                raise BadFilesError([found])
            yield found
        elif isinstance(each, Image.Image):
            try:
                yield matched(_tensor(pixels_of(each, shape[1:])), shape[0])
            except (OSError, ValueError) as error:  # a file that is read only now
                raise UserError(f"a PIL image cannot be used: {error}", field="images") from None
        elif isinstance(each, np.ndarray | Tensor) and each.ndim in (2, 3):
            whole = each[None] if each.ndim == 3 else each[None, None]
            yield matched(_resized(as_images(whole, None), shape[1:]), shape[0])
        else:
            kind = getattr(each, "shape", type(each).__name__)
            raise UserError(f"has {kind} for an image", field="images", allowed=PICTURES)


def _tensor(pixels: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].contiguous()


def _resized(images: Tensor, sides: tuple[int, int]) -> Tensor:
    """Return N x C x H x W uint8 images of another height and width, as Pillow resizes them."""
    if tuple(images.shape[2:]) == sides:
        return images
    out = torch.empty((*images.shape[:2], *sides), dtype=torch.uint8)
    for resized, image in zip(out.flatten(0, 1), images.cpu().flatten(0, 1), strict=True):
        picture = Image.fromarray(image.contiguous().numpy())
        small = picture.resize(sides[::-1], Image.Resampling.BILINEAR)
        resized.copy_(torch.from_numpy(np.array(small)))
    return out


def matched(images: Tensor, channels: int) -> Tensor:
    """Return N x C x H x W images with other channels, where that loses nothing.

    Raises:
        RefusedError: for colour images where grey ones are needed.
    """
    if images.shape[1] == channels:
        return images
    if channels == 1 and images.shape[1] == 3:
        if (images == images[:, :1]).all():  # grey, in three channels
            return images[:, :1].contiguous()
        raise RefusedError(COLOUR, field="images")
    if channels == 3 and images.shape[1] == 1:
        return images.expand(-1, 3, -1, -1).contiguous()
    problem = f"it has {images.shape[1]} channels, not {channels}"
    raise RefusedError(problem, field="images")


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
            hint = "use printable characters" if isinstance(name, str) and name else None
            hint = "turn numbers into text, as in map(str, labels)" if number else hint
            raise RefusedError(field="labels", given=name, allowed=allowed, hint=hint)
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
