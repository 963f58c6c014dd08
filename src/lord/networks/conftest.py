"""Digits by name, and names of networks given back after each test."""

import pytest
import torch

from lord.data import DataConfig, load_images
from lord.networks.build import NETWORKS

DIGITS = load_images(DataConfig())


@pytest.fixture(autouse=True)
def _names_are_given_back(monkeypatch):
    monkeypatch.setattr("lord.networks.build.NETWORKS", dict(NETWORKS))


def digits(*names):
    rows = torch.isin(DIGITS.train_labels, torch.tensor([int(n) for n in names]))
    return DIGITS.train_images[rows], [str(n) for n in DIGITS.train_labels[rows].tolist()]
