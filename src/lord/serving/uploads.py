"""Images of a request: taken from its body, checked, and decoded."""

import io
from dataclasses import dataclass

import torch
from fastapi import HTTPException, Request
from PIL import Image, UnidentifiedImageError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException as ParserError
from torch import Tensor

from lord.config import UserError, first_line
from lord.data import pixels_of
from lord.learner.images import matched
from lord.serving.limits import Limits
from lord.storage import readable

FORMATS = ("AVIF", "BMP", "GIF", "HEIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""Formats that are decoded, if Pillow can. Others may run programs, as PostScript does."""
TYPES = "multipart/form-data with files, image/*, or application/octet-stream"
SCANS, SCAN = 100, b"\xff\xda"
"""Scans of a JPEG file, at most. Each one costs a pass over all pixels, however small it is."""
FIELDS = 16
"""Parts of a form that are not files, at most. They are ignored."""


@dataclass(frozen=True)
class Upload:
    """An encoded image.

    Attributes:
        name: name of its file; empty for a raw body.
        content: its bytes.
    """

    name: str
    content: bytes


async def read_uploads(request: Request, limits: Limits) -> list[Upload]:
    """Return the images in the body of a request, at least one.

    Raises:
        HTTPException: 400 for a malformed body, 413 for too many images, 415 for another type.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind.startswith("image/") or kind == "application/octet-stream":
        content = await request.body()
        if not content:
            raise HTTPException(400, "the body is empty")
        return [Upload("", content)]
    if kind != "multipart/form-data":
        given = f"'{kind[:50]}'" if kind else "no content type"
        raise HTTPException(415, f"got {given}; expected {TYPES}")
    if not (await request.body()).rstrip(b"\r\n").endswith(b"--"):
        raise HTTPException(400, "the form is incomplete; its last boundary is missing")
    try:
        return await _files(request, limits)
    except (UnicodeError, LookupError):
        raise HTTPException(400, "the form has names that its charset cannot hold") from None
    except ParserError as error:
        if error.detail.startswith("Too many files"):
            allowed = f"expected at most {limits.images}"
            raise HTTPException(413, f"too many images; {allowed}") from None
        raise


async def _files(request: Request, limits: Limits) -> list[Upload]:
    async with request.form(max_files=limits.images, max_fields=FIELDS) as form:
        files = [part for _, part in form.multi_items() if isinstance(part, UploadFile)]
        if not files:
            raise HTTPException(400, "the form has no file; use curl -F image=@cat.jpg")
        return [Upload(readable(part.filename or ""), await part.read()) for part in files]


def decode_upload(upload: Upload, shape: tuple[int, int, int], limits: Limits) -> Tensor:
    """Return an image as 1 x C x H x W uint8, as a learner of images of a shape takes it.

    Its size is checked before its pixels are decoded.

    Raises:
        UserError: if it cannot be decoded, is too large, or does not fit the learner.
    """
    Image.init()
    try:
        known = [name for name in FORMATS if name in Image.OPEN]
        with Image.open(io.BytesIO(upload.content), formats=known) as opened:
            if opened.width * opened.height > 1e6 * limits.megapixels:
                size = f"{opened.width} x {opened.height} pixels"
                raise UserError(f"it has {size}", allowed=f"at most {limits.megapixels:g} million")
            # Pillow calls a JPEG with several pictures MPO.
            if opened.format in ("JPEG", "MPO") and upload.content.count(SCAN) > SCANS:
                raise UserError("it has too many scans", allowed=f"at most {SCANS}")
            pixels = pixels_of(opened, shape[1:])
    except UserError:
        raise
    except UnidentifiedImageError:
        raise UserError("it is not an image of a known format") from None
    except Exception as error:  # decoders raise all kinds of errors for damaged files
        raise UserError(f"it cannot be decoded: {first_line(error)}") from None
    return matched(torch.tensor(pixels).permute(2, 0, 1)[None], shape[0])
