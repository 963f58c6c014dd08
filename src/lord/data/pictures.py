"""What every source hands over: pictures, encoded or as pixels, with labels and class names."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Encoded = tuple[str, Callable[[], bytes]]
"""A picture not yet decoded: how to name it to the user, and how to get its bytes."""


@dataclass(frozen=True)
class Split:
    """One split. images: encoded pictures, or N x H x W x C uint8; labels: one int a picture."""

    images: list[Encoded] | np.ndarray
    labels: np.ndarray

    def rows(self, chosen: np.ndarray) -> "Split":
        """The part made of the rows ``chosen``."""
        if isinstance(self.images, np.ndarray):
            return Split(self.images[chosen], self.labels[chosen])
        return Split([self.images[row] for row in chosen], self.labels[chosen])


@dataclass(frozen=True)
class Pictures:
    """A data set as it was found. test is None where the source has no such split."""

    train: Split
    test: Split | None
    classes: tuple[str, ...]


def hold_out(pictures: Pictures, share: float) -> Pictures:
    """Move ``share`` of each class from train to a test split: every n-th picture."""
    labels = pictures.train.labels
    rank = np.zeros(len(labels), dtype=np.int64)  # how many of its class came before
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        rank[own] = np.arange(len(own))
    held = np.floor((rank + 1) * share) > np.floor(rank * share)
    train, test = np.flatnonzero(~held), np.flatnonzero(held)
    return Pictures(pictures.train.rows(train), pictures.train.rows(test), pictures.classes)
