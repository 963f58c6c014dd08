"""A benchmark of Avalanche as a stream of ours."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lord.config import UserError
from lord.streams.stream import Stream, Task


def from_avalanche(benchmark: Any) -> Stream:
    """Its train and test experiences, one task each; labels in the order classes first come.

    Read of it: ``train_stream`` and ``test_stream``; of each experience ``dataset``, rows of an
    image and a label, and ``classes_in_this_experience``.

    Images may be PIL's, or float tensors from 0 to 1; they are kept as bytes, before any
    augmentation, which is a method's own business here.

    Raises:
        UserError: where an image is neither.
    """
    number: dict[int, int] = {}
    for experience in benchmark.train_stream:
        for label in sorted(int(own) for own in experience.classes_in_this_experience):
            number.setdefault(label, len(number))
    train, test = (
        tuple(_task(place, own.dataset, number) for place, own in enumerate(stream))
        for stream in (benchmark.train_stream, benchmark.test_stream)
    )
    if len(train) != len(test):
        raise UserError(f"{len(train)} train experiences, but {len(test)} test experiences")
    return Stream(train, test, tuple(str(label) for label in number))


def _task(index: int, dataset: Iterable[Any], number: dict[int, int]) -> Task:
    rows = [(_bytes(row[0]), number[int(row[1])]) for row in dataset]
    labels = torch.tensor([label for _, label in rows])
    images = torch.stack([image for image, _ in rows])
    return Task(index, tuple(sorted(set(labels.tolist()))), images, labels)


def _bytes(image: Any) -> Tensor:
    """C x H x W uint8."""
    if isinstance(image, Tensor):
        if image.dtype == torch.uint8:
            return image
        if not (image.min() >= 0 and image.max() <= 1):
            raise UserError("images: expected float tensors from 0 to 1, not normalised ones")
        return (255 * image).round().to(torch.uint8)
    pixels = torch.from_numpy(np.array(image))
    return pixels[None] if pixels.dim() == 2 else pixels.permute(2, 0, 1)
