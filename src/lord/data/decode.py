"""From encoded pictures to one uint8 array."""

import io
import os
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from lord.config import UserError, first_line
from lord.data.pictures import Encoded

CHUNK = 4096
"""Pictures decoded at a time: all of them, each an array of its own, would be too many at once."""


def decode(pictures: list[Encoded], resize: int | None) -> np.ndarray:
    """Decode to N x H x W x C uint8; C is 1 if every picture is grey, else 3.

    Args:
        pictures: at least one.
        resize: side of the square every picture is resized to; None to keep their size.

    Raises:
        UserError: names the picture that is corrupt, or that has another size than the first.
    """

    def one(picture: Encoded) -> np.ndarray:
        name, read = picture
        try:
            with Image.open(io.BytesIO(read())) as opened:
                if opened.mode.startswith(("I", "F")):
                    raise ValueError(f"more than 8 bits a channel (mode {opened.mode})")
                upright = ImageOps.exif_transpose(opened)
                image = upright.convert("L" if opened.mode in ("L", "LA", "1") else "RGB")
                if resize:
                    image = image.resize((resize, resize), Image.Resampling.BILINEAR)
                pixels = np.asarray(image)
        except UnidentifiedImageError:
            raise UserError(f"cannot read the image {name}: no known format") from None
        except OSError as error:
            raise UserError(f"cannot read the image {name}: {first_line(error)}") from None
        except Exception as error:  # there is no end to what damaged files make decoders raise
            raise UserError(f"cannot decode the image {name}: {first_line(error)}") from None
        return pixels[:, :, None] if pixels.ndim == 2 else pixels

    with warnings.catch_warnings(), ThreadPoolExecutor(os.cpu_count()) as pool:
        # A picture of some 90 million pixels or more is taken for an attack, and not decoded.
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        out = np.empty((len(pictures), *one(pictures[0]).shape), dtype=np.uint8)
        height, width = out.shape[1:3]
        for start in range(0, len(pictures), CHUNK):
            part = pictures[start : start + CHUNK]
            for row, pixels in enumerate(pool.map(one, part), start):
                if pixels.shape[:2] != (height, width):
                    own = f"{pixels.shape[0]} x {pixels.shape[1]}"
                    raise UserError(
                        f"images differ in size: {pictures[row][0]} is {own}, {pictures[0][0]} is "
                        f"{height} x {width}; give --resize N"
                    )
                if pixels.shape[2] > out.shape[3]:  # the first in colour
                    out = out.repeat(3, axis=3)
                out[row] = pixels  # a grey picture among coloured ones fills all three channels
    return out
