"""Streams made of benchmarks of the Avalanche library."""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from lord.config import UserError
from lord.streams.tasks import Stream, Task


class Experience(Protocol):
    """The members of an experience that are used.

    Attributes:
        dataset: rows that begin with an image and a label.
        classes_in_this_experience: its labels.
    """

    @property
    def dataset(self) -> Iterable[Sequence[Any]]: ...
    @property
    def classes_in_this_experience(self) -> Iterable[int]: ...


class Benchmark(Protocol):
    """The members of a benchmark that are used.

    Attributes:
        train_stream: experiences to train on.
        test_stream: experiences to score, one for each experience to train on.
    """

    @property
    def train_stream(self) -> Iterable[Experience]: ...
    @property
    def test_stream(self) -> Iterable[Experience]: ...


def from_avalanche(benchmark: Benchmark) -> Stream:
    """Return the stream with a task for each experience of a benchmark.

    Images are PIL images, uint8 tensors, or float tensors from 0 to 1. They are stored as uint8,
    C x H x W each. Leave augmentation out of the benchmark, because methods augment images
    themselves. Labels are numbered in the order in which classes appear.

    Raises:
        UserError: if images are normalised, or train and test experiences differ in number.
    """
    number: dict[int, int] = {}
    for experience in benchmark.train_stream:
        for label in sorted(map(int, experience.classes_in_this_experience)):
            number.setdefault(label, len(number))
    train, test = (
        tuple(_task(place, each.dataset, number) for place, each in enumerate(stream))
        for stream in (benchmark.train_stream, benchmark.test_stream)
    )
    if len(train) != len(test):
        raise UserError(
            f"has {len(train)} train experiences and {len(test)} test experiences",
            field="benchmark",
            allowed="one test experience for each train experience",
        )
    return Stream(train, test, tuple(str(label) for label in number))


def _task(index: int, dataset: Iterable[Sequence[Any]], number: dict[int, int]) -> Task:
    rows = [(_bytes(row[0]), number[int(row[1])]) for row in dataset]
    labels = torch.tensor([label for _, label in rows])
    images = torch.stack([image for image, _ in rows])
    return Task(index, tuple(sorted(set(labels.tolist()))), images, labels)


def _bytes(image: object) -> Tensor:
    """C x H x W uint8."""
    if isinstance(image, Tensor):
        if image.dtype == torch.uint8:
            return image
        if not (image.min() >= 0 and image.max() <= 1):
            raise UserError(
                "has images with values below 0 or above 1",
                field="benchmark",
                allowed="images from 0 to 1",
                hint="leave normalisation out of the benchmark",
            )
        return (255 * image).round().to(torch.uint8)
    pixels = torch.from_numpy(np.array(image))
    return pixels[None] if pixels.dim() == 2 else pixels.permute(2, 0, 1)
