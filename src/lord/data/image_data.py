"""A data set as runs use it, and its place in the cache."""

import hashlib
import json
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from lord.config import UserError
from lord.data.cache import FORMAT, Arrays, Notes, cache_folder, holds, save_arrays, store, stored

MEMORY = "memory"
"""Value of the setting `data` for images that a program gives. With a colon and their key, it
names images in the cache."""


@dataclass(frozen=True)
class ImageData:
    """A data set in memory, or mapped from the cache.

    Attributes:
        kind: the layout it was read from.
        key: hash of the content.
        train_images, test_images: N x C x H x W uint8, stored channels-last.
        train_labels, test_labels: N int64.
        classes: name of each label.
        train_tasks, test_tasks: N int64, the task of each image, from 0. None if the data set is
            not cut into tasks.
    """

    kind: str
    key: str
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    classes: tuple[str, ...]
    train_tasks: Tensor | None = None
    test_tasks: Tensor | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        channels, height, width = self.train_images.shape[1:]
        return channels, height, width

    @property
    def content(self) -> str:
        """Hash of images, labels, tasks and names of classes."""
        return _key(arrays_of(self), self.classes)


def image_data(kind: str, key: str | None, arrays: Arrays, notes: Notes) -> ImageData:
    """Make a data set of arrays, which have the names of its attributes.

    Args:
        key: hash of the content; None to compute it.
        arrays: images are N x H x W x C uint8.
        notes: 'classes' has the name of each label.
    """
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    for name in ("train_images", "test_images"):
        tensors[name] = tensors[name].permute(0, 3, 1, 2)
    classes = tuple(notes["classes"])
    return ImageData(kind, key or _key(arrays, classes), **tensors, classes=classes)


def arrays_of(data: ImageData) -> Arrays:
    """Return the arrays that ``image_data`` makes the data set of."""
    arrays: Arrays = {}
    for name in ("train_images", "train_labels", "test_images", "test_labels"):
        tensor = getattr(data, name)
        arrays[name] = (tensor.permute(0, 2, 3, 1) if tensor.dim() == 4 else tensor).numpy()
    for name, tasks in (("train_tasks", data.train_tasks), ("test_tasks", data.test_tasks)):
        if tasks is not None:
            arrays[name] = tasks.numpy()
    return arrays


def keep(data: ImageData) -> str:
    """Store a data set in the cache, so that other processes can read it.

    Returns:
        The value of the setting `data` that names it.

    Raises:
        UserError: if the cache cannot be written.
    """
    arrays, key = arrays_of(data), data.content
    if not holds(key):
        try:
            store(key, partial(save_arrays, arrays), {"classes": list(data.classes)})
        except OSError as error:
            raise UserError(
                f"cannot write images to '{cache_folder()}': {error.strerror}",
                hint="name another folder in the environment variable LORD_CACHE",
            ) from None
    return f"{MEMORY}:{key}"


def kept(name: str) -> ImageData:
    """Return the data set that ``keep`` stored.

    Args:
        name: what ``keep`` returned.

    Raises:
        UserError: if the cache does not have it.
    """
    key = name.partition(":")[2]
    if not key:
        raise UserError(
            "stands for images that a Python program gives",
            field="data",
            given=name,
            hint="give `images` or `stream` to `run` or `compare`",
        )
    try:
        arrays, notes = stored(key)
    except (OSError, ValueError, LookupError):
        raise UserError(
            f"is no longer in the cache, '{cache_folder()}'",
            field="data",
            given=name,
            hint="run the program that gave these images again",
        ) from None
    return image_data("images in memory", key, arrays, notes)


def _key(arrays: Arrays, classes: tuple[str, ...]) -> str:
    """Return a hash of all arrays and the names of the classes."""
    digest = hashlib.blake2b(json.dumps([FORMAT, classes]).encode(), digest_size=16)
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
