"""What the tests share. Two processes on two cores: one thread each."""

import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings
from PIL import Image

torch.set_num_threads(1)
settings.register_profile("lord", deadline=None)  # a busy machine is no failure
settings.load_profile("lord")
os.environ.setdefault("LORD_CACHE", tempfile.mkdtemp(prefix="lord-test-cache-"))

REAL = Path(os.environ.get("LORD_DATA", Path(__file__).parents[3] / "shared" / "data"))


@pytest.fixture
def cifar10() -> Path:
    """CIFAR-10 as parquet, where it is there."""
    if not (REAL / "cifar10").is_dir():
        pytest.skip("no cifar10/ in $LORD_DATA (parquet in the Hugging Face layout)")
    return REAL / "cifar10"


@pytest.fixture
def tiny_imagenet() -> Path:
    """Tiny-ImageNet as parquet, where it is there."""
    if not (REAL / "tiny-imagenet").is_dir():
        pytest.skip("no tiny-imagenet/ in $LORD_DATA (parquet in the Hugging Face layout)")
    return REAL / "tiny-imagenet"


@pytest.fixture
def pixels() -> np.ndarray:
    """24 small colour images: N x 8 x 8 x 3."""
    return np.random.default_rng(0).integers(0, 256, (24, 8, 8, 3), dtype=np.uint8)


@pytest.fixture
def photos(tmp_path: Path, pixels: np.ndarray) -> Path:
    """An image folder: train/<class>/*.png and test/<class>/*.png, three classes."""
    for place, image in enumerate(pixels):
        split, name = ("test" if place % 4 == 3 else "train"), ("ant", "bee", "cat")[place % 3]
        folder = tmp_path / "photos" / split / name
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{place:02}.png")
    return tmp_path / "photos"
