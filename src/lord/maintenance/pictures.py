"""Read the images that a learner is measured on, in parts that bound memory."""

import base64
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from lord.config import UserError
from lord.data import BadFile, Encoded, check_not_nested, pictures_below
from lord.data.labelled import check_labels, ignored
from lord.data.sources import recognise
from lord.evaluation.kept import Unreadable
from lord.learner import Learner
from lord.learner.images import BATCH, batches, read_pictures

SIDE = 96
"""Longer side of a picture on a page, in pixels, at most."""


class Batch(NamedTuple):
    """Images as the learner gets them.

    Attributes:
        files: name of each image.
        labels: class name of each image; empty without labels.
        images: N x C x H x W uint8.
    """

    files: list[str]
    labels: list[str]
    images: Tensor


def shape_of(learner: Learner) -> tuple[int, int, int]:
    """Return channels, height and width of a learner's images.

    Raises:
        UserError: before the first session.
    """
    if learner.shape is None:
        raise UserError("the learner has not learned anything yet")
    return learner.shape


def labelled(learner: Learner, source: Path, unreadable: list[Unreadable]) -> Iterator[Batch]:
    """Yield the labelled images of a source: the test split, or all images without one.

    Args:
        learner: gives the size of images.
        source: in any layout that ``lord data`` knows.
        unreadable: receives the files that cannot be read.

    Raises:
        UserError: if files are missing or in no known layout, or a label is no class.
    """
    layout = recognise(source)[1]
    pictures = layout.read(source)
    check_not_nested(source, pictures.classes, learner.classes)
    left_out = ignored(layout, source, test=pictures.test is not None)
    unreadable += [Unreadable(file=each.file, reason=each.reason) for each in left_out]
    split, kind = (pictures.test, "test") if pictures.test else (pictures.train, "train")
    check_labels(split, kind, source, len(pictures.classes))
    labels = [pictures.classes[label] for label in split.labels.tolist()]
    if isinstance(split.images, np.ndarray):
        start = 0
        for part in batches(split.images, shape_of(learner)):
            rows = range(start, start + len(part))
            yield Batch([f"{source}[{row}]" for row in rows], labels[start : rows.stop], part)
            start = rows.stop
    else:
        yield from _read(learner, split.images, labels, unreadable)


def unlabelled(
    learner: Learner, files: Sequence[Path], unreadable: list[Unreadable]
) -> Iterator[Batch]:
    """Yield the images of files.

    Args:
        learner: gives the size of images.
        files: files of images.
        unreadable: receives the files that cannot be read.
    """
    yield from _read(learner, [(str(file), file.read_bytes) for file in files], (), unreadable)


def files_of(folder: Path) -> list[Path]:
    """Return all image files below a folder, in a fixed order.

    Raises:
        UserError: if the folder does not exist, cannot be read or has no image.
    """
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise UserError(what, field="folder", given=folder)
    files = list(pictures_below(folder))
    if not files:
        raise UserError("has no images", field="folder", given=folder)
    return files


def drawn(files: list[Path], most: int) -> list[Path]:
    """Return a number of files at random, always the same ones, in their order; or all of them."""
    if len(files) <= most:
        return files
    order = torch.randperm(len(files), generator=torch.Generator().manual_seed(0))
    return [files[row] for row in sorted(order[:most].tolist())]


def _read(
    learner: Learner,
    pictures: Sequence[Encoded],
    labels: Sequence[str],
    unreadable: list[Unreadable],
) -> Iterator[Batch]:
    shape = shape_of(learner)
    for start in range(0, len(pictures), BATCH):
        rows = range(start, min(start + BATCH, len(pictures)))
        some = [pictures[row] for row in rows]
        read = read_pictures(some, shape)
        images, good = [], []
        for row, found in zip(rows, read, strict=True):
            if isinstance(found, BadFile):
                unreadable.append(Unreadable(file=found.file, reason=found.reason))
            else:
                images.append(found)
                good.append(row)
        if good:
            names = [pictures[row][0] for row in good]
            yield Batch(names, [labels[row] for row in good] if labels else [], torch.cat(images))


def picture(image: Tensor) -> str:
    """Return an image, C x H x W uint8, as a data URI for a page."""
    pixels = image.permute(1, 2, 0).numpy()
    drawn = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels[:, :, :3])
    drawn.thumbnail((SIDE, SIDE))
    with io.BytesIO() as draft:
        drawn.save(draft, "WEBP", quality=85)
        return f"data:image/webp;base64,{base64.b64encode(draft.getvalue()).decode()}"
