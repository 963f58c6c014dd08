"""Decode images into one uint8 array."""

import io
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from lord.config import UserError, first_line
from lord.data.pictures import Encoded, by

CHUNK = 4096
"""Images decoded at a time, to bound memory."""


def decode(pictures: list[Encoded], resize: int | None) -> np.ndarray:
    """Decode images to N x H x W x C uint8. C is 1 if all of them are grey, else 3.

    Args:
        pictures: at least one.
        resize: side in pixels of the square to resize to; None to keep the size.

    Raises:
        UserError: if an image is damaged, or differs in size from the first. It names the image.
    """
    with warnings.catch_warnings(), ThreadPoolExecutor(os.cpu_count()) as pool:
        # Pillow warns of a decompression bomb from about 90 million pixels on. Refuse the image.
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        out = np.empty((len(pictures), *_decode_one(pictures[0], resize).shape), dtype=np.uint8)
        size = out.shape[1:3]
        for start in range(0, len(pictures), CHUNK):
            part = pictures[start : start + CHUNK]
            decoded = pool.map(partial(_decode_one, resize=resize), part)
            for row, pixels in enumerate(decoded, start):
                if pixels.shape[:2] != size:
                    one = f"'{pictures[row][0]}' has {by(pixels.shape[:2])} pixels"
                    first = f"'{pictures[0][0]}' has {by(size)}"
                    what = f"images differ in size: {one}, {first}"
                    raise UserError(what, hint="set `resize`")
                if pixels.shape[2] > out.shape[3]:  # the first colour image
                    out = out.repeat(3, axis=3)
                out[row] = pixels  # a grey image is broadcast to all channels
    return out


def _decode_one(picture: Encoded, resize: int | None) -> np.ndarray:
    """Decode an image to H x W x C uint8, with 1 or 3 channels."""
    name, read = picture
    try:
        with Image.open(io.BytesIO(read())) as opened:
            if opened.mode.startswith(("I", "F")):
                raise ValueError(f"it has more than 8 bits per channel (mode {opened.mode})")
            upright = ImageOps.exif_transpose(opened)
            image = upright.convert("L" if opened.mode in ("L", "LA", "1") else "RGB")
            if resize:
                image = image.resize((resize, resize), Image.Resampling.BILINEAR)
            pixels = np.asarray(image)
    except UnidentifiedImageError:
        raise UserError(f"cannot read the image '{name}': unknown format") from None
    except OSError as error:
        why = error.strerror or first_line(error)  # an error of a decoder has no strerror
        raise UserError(f"cannot read the image '{name}': {why}") from None
    except Exception as error:  # decoders raise all kinds of errors for damaged files
        raise UserError(f"cannot decode the image '{name}': {first_line(error)}") from None
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


def median_side(pictures: list[Encoded]) -> int:
    """Return the median of the pictures' longer sides in pixels. Only their headers are decoded.

    Raises:
        UserError: if an image is damaged. It names the image.
    """
    return int(np.median([max(_decode_size(picture)) for picture in pictures]))


def _decode_size(picture: Encoded) -> tuple[int, int]:
    name, read = picture
    try:
        with Image.open(io.BytesIO(read())) as opened:
            return opened.size
    except (UnidentifiedImageError, OSError, ValueError) as error:
        raise UserError(f"'{name}' cannot be decoded: {first_line(error)}") from None
