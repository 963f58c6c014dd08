"""The data that a source returns: images, encoded or as pixels, with labels and class names."""

import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

Encoded = tuple[str, Callable[[], bytes]]
"""An encoded image: its name in messages, and a function that reads its bytes."""


@dataclass(frozen=True)
class Split:
    """The images of one split.

    Attributes:
        images: encoded images, or N x H x W x C uint8.
        labels: N int64.
    """

    images: list[Encoded] | np.ndarray
    labels: np.ndarray

    def rows(self, chosen: np.ndarray) -> "Split":
        """Return the split with some of its rows, given by number."""
        if isinstance(self.images, np.ndarray):
            return Split(self.images[chosen], self.labels[chosen])
        return Split([self.images[row] for row in chosen], self.labels[chosen])


@dataclass(frozen=True)
class Pictures:
    """A data set as a source returns it.

    Attributes:
        train: training images.
        test: test images; None if the data has no test split.
        classes: name of each label.
    """

    train: Split
    test: Split | None
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        # Systems write accents in different forms of Unicode. They are one class.
        names = tuple(unicodedata.normalize("NFC", name) for name in self.classes)
        object.__setattr__(self, "classes", names)


def hold_out(pictures: Pictures, share: float) -> Pictures:
    """Move a share of each class's training images to a test split, evenly spaced.

    Args:
        pictures: without a test split.
        share: between 0 and 1.
    """
    labels = pictures.train.labels
    rank = np.zeros(len(labels), dtype=np.int64)  # position within the image's class
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        rank[rows] = np.arange(len(rows))
    held = np.floor((rank + 1) * share) > np.floor(rank * share)
    train, test = np.flatnonzero(~held), np.flatnonzero(held)
    return Pictures(pictures.train.rows(train), pictures.train.rows(test), pictures.classes)


def by(shape: Iterable[int]) -> str:
    """Word a shape for a message.

    >>> by((8, 8, 3))
    '8 x 8 x 3'
    """
    return " x ".join(map(str, shape))
