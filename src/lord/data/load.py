"""Load images from a path, in any of the known layouts."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
from msgspec import Meta

from lord.config import Config, UserError
from lord.data.bad_files import BadFile, BadFilesError
from lord.data.cache import Arrays, Notes, cached, content_key, holds, stored
from lord.data.image_data import MEMORY, ImageData, image_data, kept
from lord.data.labelled import check_labels, files_of, ignored, pixels_of
from lord.data.pictures import Pictures, Split, by, hold_out
from lord.data.sources import npz, recognise

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


LOADERS: dict[str, Callable[[], ImageData]] = {}
"""Data sets of plug-ins: values of the setting `data`, and functions that load the images."""


def load_images(config: DataConfig) -> ImageData:
    """Load a data set. Images are decoded the first time and then taken from the cache.

    >>> digits = load_images(DataConfig())
    >>> digits.train_images.shape, digits.test_images.shape
    (torch.Size([1442, 1, 8, 8]), torch.Size([355, 1, 8, 8]))

    Raises:
        BadFilesError: if images cannot be used. It names them all.
        UserError: if files are missing or in no known layout, or ``holdout`` or ``resize`` do not
            fit the data.
    """
    if (key := os.environ.get(DECODED)) and holds(key):
        return image_data("decoded", key, *stored(key))
    if config.data.partition(":")[0] == MEMORY or config.data in LOADERS:
        return _in_memory(config)
    path = DIGITS if config.data == "digits" else Path(config.data)
    kind, source = recognise(path)
    if config.data == "digits":
        kind = "UCI digits"
    files, bad = files_of(source, path), ignored(source, path, test=True)

    def make() -> tuple[Arrays, Notes]:
        return _decoded(source.read(path), path, config, bad)

    if not all(os.access(file, os.R_OK) for file in files):
        make()  # names all files that cannot be used
    key = content_key(files, path, config.holdout, config.resize)
    # The arrays of an npz file are decoded already.
    arrays, notes = make() if source is npz else cached(key, make)
    if bad:
        raise BadFilesError(bad)
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


def _decoded(
    pictures: Pictures, path: Path, config: DataConfig, ignored: list[BadFile]
) -> tuple[Arrays, Notes]:
    """Check and decode both splits: images N x H x W x C uint8, labels N int64."""
    arrays: Arrays = {}
    bad = [*ignored]
    parts = _both_splits(pictures, path, config.holdout)
    for split, part in parts.items():
        check_labels(part, split, path, len(pictures.classes))
        _check_classes(part, split, path, pictures.classes, config.holdout)
        arrays[f"{split}_images"], rows, undecoded = pixels_of(part, path, config.resize)
        arrays[f"{split}_labels"] = part.labels[rows]
        bad += undecoded
    if len(bad) > len(ignored):
        raise BadFilesError(bad)
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
