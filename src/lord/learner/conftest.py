"""Digits to learn, and a learner small enough for tests."""

import pytest
import torch

from lord.data import DataConfig, load_images
from lord.learner import Learner

DIGITS = load_images(DataConfig())
SMALL = {"network": "cnn", "width": 8, "epochs": 2, "buffer": 64}


def digits(*names, train=True):
    """Return the images of some digits, and their labels as text."""
    images = DIGITS.train_images if train else DIGITS.test_images
    labels = DIGITS.train_labels if train else DIGITS.test_labels
    rows = torch.isin(labels, torch.tensor([int(n) for n in names])).nonzero().flatten()
    return images[rows], [str(label) for label in labels[rows].tolist()]


def small(**settings):
    """Return a new learner with a small network, a small buffer and a short teacher search."""
    search = {"candidates": 8} if settings.get("method", "lord+").startswith("lord") else {}
    return Learner(**{**SMALL, **search, **settings})


@pytest.fixture(scope="module")
def learned():
    """A learner that has learned two digits. Tests must not change it."""
    learner = small(epochs=1)
    learner.learn(*digits("0", "1"))
    return learner
