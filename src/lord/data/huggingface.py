"""Images from Hugging Face ``datasets``."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from lord.data.image_data import ImageData
from lord.data.memory import images


class Dataset(Protocol):
    """The members of a ``datasets.Dataset`` that are used."""

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
    found = images(train, test, image=image, label=label, resize=resize)
    return replace(found, kind="Hugging Face dataset")
