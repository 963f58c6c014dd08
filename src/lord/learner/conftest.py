"""Digits to learn, and a learner small enough for tests."""

import torch

from lord.data import DataConfig, load_images
from lord.learner import Learner

DIGITS = load_images(DataConfig())
SMALL = {"network": "cnn", "width": 8, "epochs": 2, "candidates": 8}


def digits(*names, train=True):
    images = DIGITS.train_images if train else DIGITS.test_images
    labels = DIGITS.train_labels if train else DIGITS.test_labels
    rows = torch.isin(labels, torch.tensor([int(n) for n in names])).nonzero().flatten()
    return images[rows], [str(label) for label in labels[rows].tolist()]


def small(**settings):
    method = settings.get("method", "lord+")
    own = (
        SMALL
        if method.startswith("lord")
        else {k: v for k, v in SMALL.items() if k != "candidates"}
    )
    return Learner(**(own | {"buffer": 64} | settings))
