"""Decode images into one uint8 array."""

import io
import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache, partial
from importlib.util import find_spec

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from lord.config import UserError, first_line
from lord.data.bad_files import BadFile, BadFilesError
from lord.data.pictures import Encoded, by

CHUNK = 4096
"""Images decoded at a time, to bound memory."""
HEIC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
AVIF = {b"avif", b"avis"}
"""Brands of files of these formats."""


def decode(pictures: Sequence[Encoded], resize: int | None) -> np.ndarray:
    """Decode images to N x H x W x C uint8. C is 1 if all of them are grey, else 3.

    Args:
        pictures: at least one.
        resize: side in pixels of the square to resize to; None to keep the size.

    Raises:
        BadFilesError: if images cannot be decoded. It names them.
        UserError: if an image differs in size from the first. It names the image.
    """
    pixels, _, bad = decode_readable(pictures, resize)
    if bad:
        raise BadFilesError(bad)
    return pixels


def decode_readable(
    pictures: Sequence[Encoded], resize: int | None
) -> tuple[np.ndarray, list[int], list[BadFile]]:
    """Decode the images that can be decoded, and say why others cannot.

    Args:
        pictures: at least one.
        resize: side in pixels of the square to resize to; None to keep the size.

    Returns:
        Images, N x H x W x C uint8, as from ``decode``; the row of each in ``pictures``; the other
        images, with the reason for each.

    Raises:
        UserError: if an image differs in size from the first. It names the image.
    """
    out, rows, bad = np.empty((0, 1, 1, 1), np.uint8), list[int](), list[BadFile]()
    sides = (resize, resize) if resize else None
    with _strict(), ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(pictures), CHUNK):
            decoded = pool.map(partial(_attempt, sides=sides), pictures[start : start + CHUNK])
            for row, pixels in enumerate(decoded, start):
                if isinstance(pixels, BadFile):
                    bad.append(pixels)
                    continue
                if not rows:
                    out = np.empty((len(pictures), *pixels.shape), np.uint8)
                if pixels.shape[:2] != out.shape[1:3]:
                    one = f"'{pictures[row][0]}' has {by(pixels.shape[:2])} pixels"
                    first = f"'{pictures[rows[0]][0]}' has {by(out.shape[1:3])}"
                    what = f"images differ in size: {one}, {first}"
                    raise UserError(what, hint="set `resize`")
                if pixels.shape[2] > out.shape[3]:  # the first colour image
                    out = out.repeat(3, axis=3)
                out[len(rows)] = pixels  # a grey image is broadcast to all channels
                rows.append(row)
    return out[: len(rows)], rows, bad


def decode_each(pictures: Sequence[Encoded], sides: tuple[int, int]) -> list[np.ndarray | BadFile]:
    """Decode each image to H x W x C uint8 with 1 or 3 channels, or say why it cannot be.

    Args:
        pictures: encoded images.
        sides: height and width in pixels to resize to.
    """
    with _strict(), ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(partial(_attempt, sides=sides), pictures))


def pixels_of(picture: Image.Image, sides: tuple[int, int] | None) -> np.ndarray:
    """Return a picture as H x W x C uint8 with 1 or 3 channels, turned upright.

    Args:
        picture: a picture of any mode.
        sides: height and width in pixels to resize to; None to keep the size.

    Raises:
        ValueError: if it has more than 8 bits per channel.
    """
    if picture.mode.startswith(("I", "F")):
        raise ValueError(f"more than 8 bits per channel (mode {picture.mode})")
    upright = ImageOps.exif_transpose(picture)
    image = upright.convert("L" if picture.mode in ("L", "LA", "1") else "RGB")
    if sides:
        image = image.resize(sides[::-1], Image.Resampling.BILINEAR)
    pixels = np.asarray(image)
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


@contextmanager
def _strict() -> Iterator[None]:
    """Inside, images of more than about 90 million pixels are refused.

    Pillow only warns of them. Its other warnings, as of odd metadata, are not shown.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def _attempt(picture: Encoded, sides: tuple[int, int] | None) -> np.ndarray | BadFile:
    """Decode an image to H x W x C uint8, with 1 or 3 channels; or say why it cannot be."""
    name, read = picture
    try:
        content = read()
    except OSError as error:
        return BadFile(name, error.strerror or first_line(error), passing=True)
    try:
        with _opened(content) as opened:
            return pixels_of(opened, sides)
    except UnidentifiedImageError:
        return BadFile(name, _unidentified(content))
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        most = (Image.MAX_IMAGE_PIXELS or 0) // 1_000_000
        return BadFile(name, f"more than {most} million pixels")
    except Exception as error:  # decoders raise all kinds of errors for damaged files
        return BadFile(name, getattr(error, "strerror", None) or first_line(error))


def _opened(content: bytes) -> Image.Image:
    if _brands(content) & HEIC:
        register_heif()
    return Image.open(io.BytesIO(content))


def _brands(content: bytes) -> set[bytes]:
    """Return the brands that a file of the HEIF family names at its beginning."""
    if content[4:8] != b"ftyp":
        return set()
    size = min(int.from_bytes(content[:4]), 256)
    return {content[place : place + 4] for place in range(8, size, 4)}


@cache
def register_heif() -> None:
    """Let Pillow read HEIC, if the extra is installed."""
    if find_spec("pillow_heif"):
        import pillow_heif  # noqa: PLC0415

        pillow_heif.register_heif_opener()


def _unidentified(content: bytes) -> str:
    """Say why Pillow does not know the format of a file."""
    if not content:
        return "the file is empty"
    if _brands(content) & AVIF:
        return "AVIF, which Pillow 11.3 or later can read"
    if _brands(content) & HEIC:
        needed = "HEIC, which needs pip install 'lord-cl[heif]'"
        return "a damaged HEIC file" if find_spec("pillow_heif") else needed
    return "unknown format"


def sizes_of(pictures: Iterable[Encoded]) -> Iterator[tuple[int, int]]:
    """Return height and width of each image, from its header. Unreadable images are left out."""
    for _, read in pictures:
        try:
            with _strict(), _opened(read()) as opened:
                size = (opened.height, opened.width)
                turned = opened.getexif().get(0x0112, 1) > 4  # by 90 degrees
        except Exception:  # decoders raise all kinds of errors for damaged files
            continue
        yield size[::-1] if turned else size
