"""Load labelled images for learning: only those that can be used, and the list of the others."""

from collections.abc import Collection
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lord.config import NothingNewError, UserError
from lord.data.bad_files import BadFile, BadFilesError
from lord.data.cache import content_key
from lord.data.decode import decode_readable, sizes_of
from lord.data.pictures import Split
from lord.data.sources import Source, folder, recognise

SAMPLE = 50
"""Pictures from which a typical size is taken."""


@dataclass(frozen=True)
class Labelled:
    """The training images at a path that can be used.

    Attributes:
        images: N x C x H x W uint8.
        labels: class name of each.
        files: file of each, or its place in a larger file.
        bad: files that cannot be used.
        key: hash of the content; None if some of the files are not used.
    """

    images: Tensor
    labels: list[str]
    files: list[str]
    bad: tuple[BadFile, ...]
    key: str | None


def load_labelled(path: Path, resize: int) -> tuple[Tensor, list[str], str]:
    """Load the training images at a path, without a test split and without the cache.

    Args:
        path: in any known layout.
        resize: side in pixels of the square to resize to. Images that are stored as arrays of
            pixels are not resized: they must have this side.

    Returns:
        Images, N x C x H x W uint8; the class name of each; a hash of the content.

    Raises:
        BadFilesError: if images cannot be used. It names them all.
        UserError: if files are missing or in no known layout, or ``resize`` does not fit.
    """
    loaded = load_readable(path, resize)
    if loaded.key is None:
        raise BadFilesError(loaded.bad)
    return loaded.images, loaded.labels, loaded.key


def load_readable(path: Path, resize: int | None, only: Collection[str] | None = None) -> Labelled:
    """Load the training images at a path that can be used, without the cache.

    Args:
        path: in any known layout.
        resize: as for ``load_labelled``; None to keep the images' own size.
        only: files to load, for a folder of pictures; None for all of them.

    Raises:
        BadFilesError: if no image can be used.
        NothingNewError: if ``only`` names no training image.
        UserError: if the path has no known layout, or ``resize`` does not fit.
    """
    _, source = recognise(path)
    files, pictures = files_of(source, path), source.read(path)
    check_labels(pictures.train, "train", path, len(pictures.classes))
    train, ignores = pictures.train, ignored(source, path, test=False)
    if only is not None:
        chosen = [row for row, (name, _) in enumerate(train.images) if name in only]
        train = train.rows(np.array(chosen, dtype=np.int64))
        ignores = [each for each in ignores if each.file in only]
        if not chosen and not ignores:
            raise NothingNewError(f"none of the new pictures of '{path}' are for training")
    pixels, rows, bad = pixels_of(train, path, resize)
    bad = [*ignores, *bad]
    if not rows:
        raise BadFilesError(bad, f"no image of '{path}' can be used:")
    encoded, labels = train.images, train.labels[rows]
    places = range(len(rows)) if isinstance(encoded, np.ndarray) else [encoded[r][0] for r in rows]
    return Labelled(
        torch.from_numpy(pixels).permute(0, 3, 1, 2),
        [pictures.classes[label] for label in labels],
        [str(place) for place in places],
        tuple(bad),
        None if bad or only is not None else content_key(files, path, resize),
    )


def files_of_classes(path: Path, classes: Collection[str]) -> set[str]:
    """Return the files of the training images of some classes of a folder of pictures."""
    pictures = recognise(path)[1].read(path)
    named = zip(pictures.train.images, pictures.train.labels, strict=True)
    return {file for (file, _), label in named if pictures.classes[label] in classes}


def typical_side(path: Path, without: Collection[str] = ()) -> tuple[int, bool]:
    """Return the median of the longer sides of the first pictures at a path, in pixels.

    Args:
        path: in any known layout.
        without: files to leave out.

    Returns:
        The side, and whether the images are arrays of pixels, all of one size.

    Raises:
        BadFilesError: if there is no picture that can be read.
    """
    images = recognise(path)[1].read(path).train.images
    if isinstance(images, np.ndarray):
        return max(images.shape[1:3]), True
    rest = (each for each in images if each[0] not in without)
    sides = [max(size) for size in islice(sizes_of(rest), SAMPLE)]
    if not sides:
        bad = decode_readable(images, None)[2]
        raise BadFilesError(bad, f"no image of '{path}' can be used:")
    return int(np.median(sides)), False


def has_test_split(path: Path) -> bool:
    """Return whether a data set has a test split."""
    return recognise(path)[1].read(path).test is not None


def sides_of(path: Path) -> tuple[str, set[tuple[int, int]]]:
    """Return the layout of a data set, and the sizes of its training images in pixels.

    Returns:
        The layout's name; height and width of each size. Unreadable images are left out.
    """
    kind, source = recognise(path)
    images = source.read(path).train.images
    if isinstance(images, np.ndarray):
        return kind, {(images.shape[1], images.shape[2])}
    return kind, set(sizes_of(images))


def files_of(source: Source, path: Path) -> list[Path]:
    """Return the files of a data set.

    Raises:
        UserError: if one is missing.
    """
    files = source.files(path)
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise UserError(f"'{path}' is incomplete: '{missing[0].name}' is missing")
    return files


def ignored(source: Source, path: Path, *, test: bool) -> list[BadFile]:
    """Return what a source would ignore, although the user may think it is used."""
    return folder.ignored(path, test=test) if source is folder else []


def check_labels(part: Split, split: str, path: Path, classes: int) -> None:
    """Check that there are labels, and that each is the number of a class.

    Raises:
        UserError: if not.
    """
    if not len(part.labels):
        raise UserError(f"'{path}' has no {split} images")
    for label in (int(part.labels.min()), int(part.labels.max())):
        if not 0 <= label < classes:
            what = f"'{path}' has the {split} label {label}"
            raise UserError(what, allowed=f"labels from 0 to {classes - 1}")


def pixels_of(
    part: Split, path: Path, resize: int | None
) -> tuple[np.ndarray, list[int], list[BadFile]]:
    """Return the images of a split, N x H x W x C uint8, the row of each, and the bad files."""
    if not isinstance(part.images, np.ndarray):
        return decode_readable(part.images, resize)
    height, width = part.images.shape[1:3]
    if resize and (height, width) != (resize, resize):
        raise UserError(
            f"does not fit '{path}', which has arrays of {height} x {width} pixels",
            field="resize",
            given=resize,
            allowed=f"{height}, as arrays are not resized" if height == width else None,
            hint=None if height == width else "resize the arrays before they are saved",
        )
    return part.images, list(range(len(part.images))), []
