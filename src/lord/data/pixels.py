"""Images in memory, of any common type, as arrays of bytes."""

from collections.abc import Iterable

import numpy as np
from PIL import Image, ImageOps
from torch import Tensor

from lord.config import UserError
from lord.data.pictures import by

CHANNELS = range(1, 5)
"""Numbers of channels that an image may have. They tell where an array has its channels."""
KINDS = "uint8, or floats from 0 to 1"


def as_pixels(field: str, images: object, resize: int | None) -> np.ndarray:
    """Return images as N x H x W x C uint8.

    Args:
        field: the argument to name in an error.
        images: an array or a tensor of N images, or an iterable of PIL images, arrays or tensors.
            A tensor has its channels before height and width, an array after them. Where only the
            other order gives 1 to 4 channels, that one is used.
        resize: side in pixels of the square to resize to; None if all images have one size.

    Raises:
        UserError: if they are not images, or differ in size.
    """
    if isinstance(images, np.ndarray | Tensor):
        pixels = _batch(field, images)
        if resize is None or pixels.shape[1:3] == (resize, resize):
            return pixels
        rows = [_resized(image, resize) for image in pixels]
    elif isinstance(images, Iterable):
        rows = [_resized(_one(field, image), resize) for image in images]
    else:
        raise UserError(field=field, given=type(images).__name__, allowed="images")
    if not rows:
        raise UserError("has no images", field=field, allowed="at least one image")
    if len({row.shape[:2] for row in rows}) > 1:
        raise UserError("has images of different sizes", field=field, hint="set `resize`")
    channels = max(row.shape[2] for row in rows)
    grey = [row.shape[2] == 1 for row in rows]
    if any(row.shape[2] not in (1, channels) for row in rows):
        raise UserError("has images of different numbers of channels", field=field)
    return np.stack(
        [row.repeat(channels, axis=2) if one else row for row, one in zip(rows, grey, strict=True)]
    )


def _one(field: str, image: object) -> np.ndarray:
    """Return one image as H x W x C uint8."""
    if isinstance(image, Image.Image):
        if image.mode.startswith(("I", "F")):
            what = f"has an image of more than 8 bits per channel (mode {image.mode})"
            raise UserError(what, field=field)
        upright = ImageOps.exif_transpose(image)
        pixels = np.asarray(upright.convert("L" if image.mode in ("L", "LA", "1") else "RGB"))
        return pixels[:, :, None] if pixels.ndim == 2 else pixels
    if not isinstance(image, np.ndarray | Tensor):
        kind = type(image).__name__
        raise UserError(
            f"has a {kind} where an image should be",
            field=field,
            allowed="PIL images, arrays or tensors",
        )
    single: np.ndarray = _batch(field, image[None])[0]
    return single


def _batch(field: str, images: np.ndarray | Tensor) -> np.ndarray:
    """Return N images as N x H x W x C uint8."""
    first = isinstance(images, Tensor)
    array = images.detach().cpu().numpy() if isinstance(images, Tensor) else images
    if not len(array):
        raise UserError("has no images", field=field, allowed="at least one image")
    if array.ndim == 3:
        return _bytes(field, array)[..., None]
    if array.ndim != 4 or not {array.shape[1], array.shape[3]} & {*CHANNELS}:
        raise UserError(
            f"has images of {by(array.shape[1:])}",
            field=field,
            allowed="C x H x W tensors or H x W x C arrays, with 1 to 4 channels",
        )
    if array.shape[1 if first else 3] not in CHANNELS:
        first = not first
    return _bytes(field, array.transpose(0, 2, 3, 1) if first else array)


def _bytes(field: str, array: np.ndarray) -> np.ndarray:
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    if not np.issubdtype(array.dtype, np.floating):
        raise UserError(f"has images of type {array.dtype}", field=field, allowed=KINDS)
    if not (array.min() >= 0 and array.max() <= 1):  # NaN is neither
        raise UserError(
            "has images with values below 0 or above 1",
            field=field,
            allowed=KINDS,
            hint="leave normalisation out, because methods normalise images themselves",
        )
    return np.ascontiguousarray((255 * array).round().astype(np.uint8))


def _resized(pixels: np.ndarray, side: int | None) -> np.ndarray:
    if side is None or pixels.shape[:2] == (side, side):
        return pixels
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    resized = np.asarray(image.resize((side, side), Image.Resampling.BILINEAR))
    return resized[:, :, None] if resized.ndim == 2 else resized
