"""Load images from a path, in any of the known layouts."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from msgspec import Meta
from torch import Tensor

from lord.config import Config, UserError
from lord.data.cache import Arrays, Notes, cached, content_key, holds, stored
from lord.data.decode import decode, median_side
from lord.data.image_data import MEMORY, ImageData, image_data, kept
from lord.data.pictures import Pictures, Split, by, hold_out
from lord.data.sources import Source, npz, recognise

DIGITS = Path(__file__).parent / "digits.npz"
"""UCI optical recognition of handwritten digits (Alpaydin & Kaynak 1998), CC BY 4.0."""

DECODED = "LORD_DECODED"
"""Environment variable with the key of decoded images in the cache. If it is set, they are used
and the configured path is not read. A study sets it for its runs."""


class DataConfig(Config, frozen=True):
    """Which images to use."""

    data: str = "digits"
    """Path of the images, or 'digits' for the set that comes with the package. 'memory' stands
    for images that a Python program gives."""
    holdout: Annotated[float, Meta(gt=0, lt=1)] | None = None
    """Share of each class to use as the test split, for data without one."""
    resize: Annotated[int, Meta(ge=4, le=1024)] | None = None
    """Side in pixels of the square that images are resized to."""


SAMPLE = 50
"""Pictures from which a typical size is taken."""
LOADERS: dict[str, Callable[[], ImageData]] = {}
"""Data sets of plug-ins: values of the setting `data`, and functions that load the images."""


def load_images(config: DataConfig) -> ImageData:
    """Load a data set. Images are decoded the first time and then taken from the cache.

    >>> digits = load_images(DataConfig())
    >>> digits.train_images.shape, digits.test_images.shape
    (torch.Size([1442, 1, 8, 8]), torch.Size([355, 1, 8, 8]))

    Raises:
        UserError: if files are missing, damaged or in no known layout, or ``holdout`` or ``resize``
            do not fit the data.
    """
    if (key := os.environ.get(DECODED)) and holds(key):
        return image_data("decoded", key, *stored(key))
    if config.data.partition(":")[0] == MEMORY or config.data in LOADERS:
        return _in_memory(config)
    path = DIGITS if config.data == "digits" else Path(config.data)
    kind, source = recognise(path)
    if config.data == "digits":
        kind = "UCI digits"
    files = _files(source, path)

    def make() -> tuple[Arrays, Notes]:
        return _decoded(source.read(path), path, config)

    key = content_key(files, path, config.holdout, config.resize)
    # The arrays of an npz file are decoded already.
    arrays, notes = make() if source is npz else cached(key, make)
    return image_data(kind, key, arrays, notes)


def _in_memory(config: DataConfig) -> ImageData:
    """Return a data set that is not read from a path."""
    for field, value in (("resize", config.resize), ("holdout", config.holdout)):
        if value is not None:
            raise UserError(
                f"is for images at a path, and the data is '{config.data}'",
                field=field,
                given=value,
                hint="leave it out",
            )
    load = LOADERS.get(config.data)
    return load() if load else kept(config.data)


def load_labelled(path: Path, resize: int) -> tuple[Tensor, list[str], str]:
    """Load the training images at a path, without a test split and without the cache.

    Args:
        path: in any known layout.
        resize: side in pixels of the square to resize to. Images that are stored as arrays of
            pixels are not resized: they must have this side.

    Returns:
        Images, N x C x H x W uint8; the class name of each; a hash of the content.

    Raises:
        UserError: if files are missing, damaged or in no known layout, or ``resize`` does not fit.
    """
    _, source = recognise(path)
    key = content_key(_files(source, path), path, resize)
    pictures = source.read(path)
    _check_labels(pictures.train, "train", path, len(pictures.classes))
    pixels = torch.from_numpy(_pixels(pictures.train, path, resize)).permute(0, 3, 1, 2)
    return pixels, [pictures.classes[label] for label in pictures.train.labels], key


def typical_side(path: Path) -> tuple[int, bool]:
    """Return the median of the longer sides of the first pictures at a path, in pixels.

    Returns:
        The side, and whether the images are arrays of pixels, all of one size.

    Raises:
        UserError: if there is no picture that can be read.
    """
    images = recognise(path)[1].read(path).train.images
    if isinstance(images, np.ndarray):
        return max(images.shape[1:3]), True
    return median_side(images[:SAMPLE]), False


def _files(source: Source, path: Path) -> list[Path]:
    files = source.files(path)
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise UserError(f"'{path}' is incomplete: '{missing[0].name}' is missing")
    return files


def _decoded(pictures: Pictures, path: Path, config: DataConfig) -> tuple[Arrays, Notes]:
    """Check and decode both splits: images N x H x W x C uint8, labels N int64."""
    arrays: Arrays = {}
    parts = _both_splits(pictures, path, config.holdout)
    for split, part in parts.items():
        _check_labels(part, split, path, len(pictures.classes))
        _check_classes(part, split, path, pictures.classes, config.holdout)
        arrays[f"{split}_images"] = _pixels(part, path, config.resize)
        arrays[f"{split}_labels"] = part.labels
    encoded = not isinstance(pictures.train.images, np.ndarray)
    if encoded:
        _equal_channels(arrays)
    train, test = (arrays[f"{split}_images"].shape[1:] for split in parts)
    if train != test:
        what = f"train images of '{path}' are {by(train)}, test images {by(test)}"
        raise UserError(what, hint="set `resize`" if encoded else None)
    return arrays, {"classes": pictures.classes}


def _both_splits(pictures: Pictures, path: Path, holdout: float | None) -> dict[str, Split]:
    """Return the train and the test split; hold out a test split if ``holdout`` is set."""
    if not len(pictures.train.labels):
        raise UserError(f"'{path}' has no train images")
    if len(pictures.classes) < 2:
        names = ", ".join(pictures.classes) or "none"
        raise UserError(f"'{path}' has too few classes: {names}", allowed="at least two")
    if holdout is not None:
        pictures = _held_out(pictures, path, holdout)
    if pictures.test is None:
        hint = "set `holdout` to a share such as 0.2, or add a test split"
        first = path / pictures.classes[0]
        if (first / "train").is_dir():
            hint = f"name one of its data sets, such as '{first}', or make a stream of them all"
        raise UserError(f"'{path}' has no test split", hint=hint)
    return {"train": pictures.train, "test": pictures.test}


def _held_out(pictures: Pictures, path: Path, share: float) -> Pictures:
    if pictures.test is not None:
        what = f"cannot be used: '{path}' has a test split"
        raise UserError(what, field="holdout", given=share, hint="leave it out")
    pictures = hold_out(pictures, share)
    if pictures.test is None or not len(pictures.test.labels):
        what = f"leaves '{path}' without test images"
        raise UserError(what, field="holdout", given=share, hint="set a larger share")
    return pictures


def _check_labels(part: Split, split: str, path: Path, classes: int) -> None:
    if not len(part.labels):
        raise UserError(f"'{path}' has no {split} images")
    for label in (int(part.labels.min()), int(part.labels.max())):
        if not 0 <= label < classes:
            what = f"'{path}' has the {split} label {label}"
            raise UserError(what, allowed=f"labels from 0 to {classes - 1}")


def _check_classes(
    part: Split, split: str, path: Path, classes: tuple[str, ...], holdout: float | None
) -> None:
    """Check that each class has an image in this split."""
    counts = np.bincount(part.labels, minlength=len(classes))
    if counts.all():
        return
    name = classes[int(counts.argmin())]
    if holdout is None:
        raise UserError(f"class '{name}' of '{path}' has no {split} images")
    raise UserError(
        f"leaves class '{name}' of '{path}' without {split} images",
        field="holdout",
        given=holdout,
        hint=f"set a {'larger' if split == 'test' else 'smaller'} share",
    )


def _equal_channels(arrays: Arrays) -> None:
    """Give grey images of one split three channels if the other split has colour images."""
    names = ("train_images", "test_images")
    channels = max(arrays[name].shape[3] for name in names)
    for name in names:
        if arrays[name].shape[3] < channels:
            arrays[name] = arrays[name].repeat(channels, axis=3)


def _pixels(part: Split, path: Path, resize: int | None) -> np.ndarray:
    """Return the images of a split, decoded: N x H x W x C uint8."""
    if not isinstance(part.images, np.ndarray):
        return decode(part.images, resize)
    height, width = part.images.shape[1:3]
    if resize and (height, width) != (resize, resize):
        raise UserError(
            f"does not fit '{path}', which has arrays of {height} x {width} pixels",
            field="resize",
            given=resize,
            allowed=f"{height}, as arrays are not resized" if height == width else None,
            hint=None if height == width else "resize the arrays before they are saved",
        )
    return part.images
