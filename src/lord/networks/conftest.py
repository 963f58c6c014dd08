"""The digits by class, and a registry of networks that is restored after each test."""

import pytest
import torch

from lord.data import DataConfig, load_images
from lord.networks.build import NETWORKS

DIGITS = load_images(DataConfig())


@pytest.fixture(autouse=True)
def _restored_registry(monkeypatch):
    monkeypatch.setattr("lord.networks.build.NETWORKS", dict(NETWORKS))


def digits(*names):
    """Return the training images of some digits, and their class names."""
    rows = torch.isin(DIGITS.train_labels, torch.tensor([int(n) for n in names]))
    return DIGITS.train_images[rows], [str(n) for n in DIGITS.train_labels[rows].tolist()]
