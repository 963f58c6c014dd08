"""Images from Hugging Face ``datasets``."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from lord.config import UserError
from lord.data.load import ImageData
from lord.data.pictures import by


class Dataset(Protocol):
    """The members of a ``datasets.Dataset`` that are used."""

    _fingerprint: str

    @property
    def column_names(self) -> list[str]: ...
    @property
    def features(self) -> Mapping[str, object]: ...
    def __len__(self) -> int: ...
    def __getitem__(self, column: str, /) -> Iterable[Any]: ...


def from_datasets(
    train: Dataset,
    test: Dataset,
    *,
    image: str = "image",
    label: str = "label",
    resize: int | None = None,
) -> ImageData:
    """Read two splits of a ``datasets.Dataset`` with images and class labels.

    Args:
        train, test: the splits.
        image, label: names of the columns of images and labels.
        resize: side in pixels of the square to resize to; None if all images have one size.

    Raises:
        UserError: if a column is missing, a split is empty, or images or labels do not fit.
    """
    parts = {"train": train, "test": test}
    for split, part in parts.items():
        _check_columns(split, part, image=image, label=label)
    images = {split: _images(split, part[image], resize) for split, part in parts.items()}
    labels = {
        split: torch.tensor(list(part[label]), dtype=torch.int64) for split, part in parts.items()
    }
    names = getattr(train.features[label], "names", None)
    classes = tuple(names or map(str, range(int(labels["train"].max()) + 1)))
    for split, given in labels.items():
        _check_labels(split, given, len(classes))
    shapes = {split: tuple(each.shape[1:]) for split, each in images.items()}
    if shapes["train"] != shapes["test"]:
        raise UserError(
            f"has images of {by(shapes['test'])} (channels, height, width)",
            field="test",
            allowed=f"{by(shapes['train'])} as in `train`",
        )
    return ImageData(
        kind="Hugging Face dataset",
        key=str(train._fingerprint),
        train_images=images["train"],
        train_labels=labels["train"],
        test_images=images["test"],
        test_labels=labels["test"],
        classes=classes,
    )


def _check_columns(split: str, part: Dataset, **columns: str) -> None:
    for field, column in columns.items():
        if column not in part.column_names:
            raise UserError(
                f"is not a column of the {split} split",
                field=field,
                given=column,
                allowed=f"one of {', '.join(part.column_names)}",
            )
    if not len(part):
        raise UserError("has no images", field=split, allowed="at least one image")


def _check_labels(split: str, labels: Tensor, classes: int) -> None:
    for label in (int(labels.min()), int(labels.max())):
        if not 0 <= label < classes:
            what = f"has the label {label}"
            raise UserError(what, field=split, allowed=f"labels from 0 to {classes - 1}")


def _images(split: str, column: Iterable[Image.Image], resize: int | None) -> Tensor:
    """Convert images to N x C x H x W uint8. C is 1 if all of them are grey, else 3."""
    mode = "L" if all(each.mode in ("L", "1") for each in column) else "RGB"
    pixels = list(_pixels(column, mode, resize))
    if len({each.shape for each in pixels}) > 1:
        raise UserError("has images of different sizes", field=split, hint="set `resize`")
    return torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2)


def _pixels(column: Iterable[Image.Image], mode: str, resize: int | None) -> Iterator[np.ndarray]:
    for image in column:
        converted = image.convert(mode)
        if resize:
            converted = converted.resize((resize, resize), Image.Resampling.BILINEAR)
        pixels = np.asarray(converted)
        yield pixels[:, :, None] if pixels.ndim == 2 else pixels
