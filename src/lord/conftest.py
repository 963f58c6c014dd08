"""Fixtures and helpers of all tests. Tests run in several processes, so each uses one thread."""

import atexit
import contextlib
import os
import random
import re
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings
from PIL import Image

from lord.config import UserError
from lord.test_forked import Forked

torch.set_num_threads(1)
settings.register_profile("lord", deadline=None)  # a slow machine is not a failure
settings.load_profile("lord")
if "LORD_CACHE" not in os.environ:
    os.environ["LORD_CACHE"] = tempfile.mkdtemp(prefix="lord-test-cache-")
    atexit.register(shutil.rmtree, os.environ["LORD_CACHE"], ignore_errors=True)

REAL = Path(os.environ.get("LORD_DATA", Path(__file__).parents[3] / "shared" / "data"))


@pytest.fixture
def cifar10() -> Path:
    """Return the folder of CIFAR-10 as parquet; skip the test without it."""
    if not (REAL / "cifar10").is_dir():
        pytest.skip("no cifar10/ in $LORD_DATA (parquet in the Hugging Face layout)")
    return REAL / "cifar10"


@pytest.fixture
def tiny_imagenet() -> Path:
    """Return the folder of Tiny-ImageNet as parquet; skip the test without it."""
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


def stamp(file: Path) -> int | None:
    """Return when a file was last written; None if it does not exist."""
    with contextlib.suppress(FileNotFoundError):
        return file.stat().st_mtime_ns
    return None


def killed(process: Forked, file: Path, before: int | None, source: random.Random) -> bool:
    """Kill a process at a random moment, once ``file`` was written after ``before``.

    Returns:
        Whether the process was still running.
    """
    until = time.monotonic() + 60
    while stamp(file) == before and process.poll() is None and time.monotonic() < until:
        time.sleep(0.01)  # until the process has made progress
    time.sleep(source.random())
    process.kill()
    return process.wait() == -signal.SIGKILL


@contextlib.contextmanager
def refused(field: str | None, **parts: object) -> Iterator[None]:
    """Check that the block raises a ``UserError`` about ``field``.

    Args:
        field: name of the argument or setting; None for an error without one.
        parts: other attributes the error must have, such as ``given``, ``allowed`` or ``hint``.
            A compiled pattern is searched for in the attribute's text.
    """
    with pytest.raises(UserError) as caught:
        yield
    assert caught.value.field == field, caught.value
    for name, expected in parts.items():
        value = getattr(caught.value, name)
        if isinstance(expected, re.Pattern):
            assert expected.search(str(value)), caught.value
        else:
            assert value == expected, caught.value
