"""The one loader: from a path to images in memory."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Annotated

import numpy as np
import torch
from msgspec import Meta
from torch import Tensor

from lord.config import Config, UserError
from lord.data.cache import Arrays, Notes, cached, content_key, holds, stored
from lord.data.decode import decode
from lord.data.pictures import Pictures, Split, hold_out
from lord.data.sources import npz, recognise

DIGITS = Path(__file__).parent / "digits.npz"
"""UCI optical recognition of handwritten digits (Alpaydin & Kaynak 1998), CC BY 4.0."""

DECODED = "LORD_DECODED"
"""Environment variable with the key of decoded images: those in the cache under it are taken, and
the configured path is neither read nor hashed again. Set for the runs of a study."""


class DataConfig(Config, frozen=True):
    """Which images."""

    data: str = "digits"
    """Path of the images, or 'digits' for the set that comes with the package."""
    holdout: Annotated[float, Meta(gt=0, lt=1)] | None = None
    """Share of each class to hold out as test split, where the data has none."""
    resize: Annotated[int, Meta(ge=4, le=1024)] | None = None
    """Side, in pixels, every image is resized to."""


@dataclass(frozen=True)
class ImageData:
    """A data set. Images are N x C x H x W uint8 (stored channels-last), labels N int64.

    Attributes:
        kind: which layout it was read from.
        key: hash of the content.
        classes: name of each label.
    """

    kind: str
    key: str
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    classes: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        channels, height, width = self.train_images.shape[1:]
        return channels, height, width


def load_images(config: DataConfig) -> ImageData:
    """Load what ``config`` names, decoding it only the first time.

    Raises:
        UserError: names what is missing, corrupt or unknown.
    """
    if (key := os.environ.get(DECODED)) and holds(key):
        return _image_data("decoded", key, *stored(key))
    if config.data == "digits":
        path, kind, source = DIGITS, "UCI digits", npz
    else:
        path = Path(config.data)
        kind, source = recognise(path)
    files = _files(source, path)

    def make() -> tuple[Arrays, Notes]:
        return _decoded(source.read(path), path, config)

    key = content_key(files, path, config.holdout, config.resize)
    # Arrays of pixels are decoded already.
    arrays, notes = make() if source is npz else cached(key, make)
    return _image_data(kind, key, arrays, notes)


def _image_data(kind: str, key: str, arrays: Arrays, notes: Notes) -> ImageData:
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    for name in ("train_images", "test_images"):
        tensors[name] = tensors[name].permute(0, 3, 1, 2)
    return ImageData(kind, key, **tensors, classes=tuple(notes["classes"]))


def load_labelled(path: Path, resize: int) -> tuple[Tensor, list[str], str]:
    """Training images in any layout, without a test split.

    Args:
        resize: side in pixels; arrays of pixels must have it already.

    Returns:
        N x C x H x W uint8 images, the class name of each, a hash of the content.

    Raises:
        UserError: names what is missing, corrupt or unknown.
    """
    _, source = recognise(path)
    key = content_key(_files(source, path), path, resize)
    pictures = source.read(path)
    _check_labels(pictures.train, "train", path, pictures.classes)
    pixels = torch.from_numpy(_pixels(pictures.train, path, resize)).permute(0, 3, 1, 2)
    return pixels, [pictures.classes[label] for label in pictures.train.labels], key


def _decoded(pictures: Pictures, path: Path, config: DataConfig) -> tuple[Arrays, Notes]:
    if pictures.test is None and config.holdout is None:
        raise UserError(f"no test split in '{path}': add one, or give --holdout 0.2")
    if pictures.test is not None and config.holdout is not None:
        raise UserError(f"holdout: '{path}' has a test split already; leave --holdout out")
    if config.holdout is not None:
        pictures = hold_out(pictures, config.holdout)
    if not len(pictures.train.labels):
        raise UserError(f"no train images in '{path}'")
    if len(pictures.classes) < 2:
        raise UserError(f"only one class in '{path}' ({pictures.classes[0]}); need at least 2")
    arrays: Arrays = {}
    for split, part in (("train", pictures.train), ("test", pictures.test)):
        assert part is not None
        _check_labels(part, split, path, pictures.classes)
        counts = np.bincount(part.labels, minlength=len(pictures.classes))
        if not counts.all():
            lacks = pictures.classes[int(counts.argmin())]
            give = "larger" if split == "test" else "smaller"
            more = f"; give a {give} --holdout than {config.holdout:g}" if config.holdout else ""
            raise UserError(f"class '{lacks}' has no {split} images in '{path}'{more}")
        arrays[f"{split}_images"] = _pixels(part, path, config.resize)
        arrays[f"{split}_labels"] = part.labels
    if not isinstance(pictures.train.images, np.ndarray):  # all grey in one split only
        channels = max(arrays[name].shape[3] for name in ("train_images", "test_images"))
        for name in ("train_images", "test_images"):
            if arrays[name].shape[3] < channels:
                arrays[name] = arrays[name].repeat(channels, axis=3)
    train, test = arrays["train_images"].shape[1:], arrays["test_images"].shape[1:]
    if train != test:
        raise UserError(f"train images of '{path}' are {train}, test images {test}")
    return arrays, {"classes": pictures.classes}


def _files(source: ModuleType, path: Path) -> list[Path]:
    files: list[Path] = source.files(path)
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise UserError(f"'{path}' is incomplete: no {missing[0].name}")
    return files


def _check_labels(part: Split, split: str, path: Path, classes: Sequence[str]) -> None:
    if not len(part.labels):
        raise UserError(f"no {split} images in '{path}'")
    low, high = int(part.labels.min()), int(part.labels.max())
    if low < 0 or high >= len(classes):
        raise UserError(
            f"a {split} label of '{path}' is {low if low < 0 else high}, "
            f"but there are {len(classes)} classes, from 0 on"
        )


def _pixels(part: Split, path: Path, resize: int | None) -> np.ndarray:
    if not isinstance(part.images, np.ndarray):
        return decode(part.images, resize)
    if resize and part.images.shape[1:3] != (resize, resize):
        height, width = part.images.shape[1:3]
        raise UserError(
            f"resize: '{path}' holds arrays of {height} x {width} pixels, which are not resized to "
            f"{resize} x {resize}" + (f"; begin with --resize {height}" if height == width else "")
        )
    return part.images
