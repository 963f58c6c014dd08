"""Images and streams in memory, and the settings with which runs learn them."""

from dataclasses import replace

import torch
from torch import Tensor

from lord.config import UserError
from lord.data import ImageData, keep
from lord.streams.avalanche import Benchmark, from_avalanche
from lord.streams.given import number_of_tasks
from lord.streams.tasks import Stream, Task

KINDS = "an ImageData, a Stream, or an Avalanche benchmark"


def as_images(given: object) -> ImageData:
    """Return the images of all tasks as one data set, with the task of each image.

    Args:
        given: a data set, such as ``lord.images_by_task`` makes; a ``Stream``; or a benchmark of
            the Avalanche library.

    Raises:
        UserError: if it is something else, or lacks images.
    """
    if isinstance(given, ImageData):
        return given
    if hasattr(given, "train_stream") and hasattr(given, "test_stream"):
        benchmark: Benchmark = given
        given = from_avalanche(benchmark)
    if not isinstance(given, Stream):
        raise UserError(field="stream", given=type(given).__name__, allowed=KINDS)
    train, test = list(given.train), list(given.test)
    if not train or len(train) != len(test):
        raise UserError(
            f"has {len(train)} tasks to train on and {len(test)} to score",
            field="stream",
            allowed="at least one task, and as many to score",
        )
    whole = ImageData(
        kind="stream in memory",
        key="",
        train_images=torch.cat([task.images for task in train]),
        train_labels=torch.cat([task.labels for task in train]),
        test_images=torch.cat([task.images for task in test]),
        test_labels=torch.cat([task.labels for task in test]),
        classes=given.class_names,
        train_tasks=_places(train),
        test_tasks=_places(test),
    )
    return replace(whole, key=whole.content)


def _places(tasks: list[Task]) -> Tensor:
    return torch.cat([torch.full_like(task.labels, at) for at, task in enumerate(tasks)])


def given_settings(images: object = None, stream: object = None) -> dict[str, str | int]:
    """Store images in the cache, and return the settings with which a run learns them.

    Args:
        images: a data set to cut into tasks; None if there is a stream.
        stream: tasks, as ``as_images`` takes them; None if there are images.

    Returns:
        Values by the names of settings; none if neither is given.

    Raises:
        UserError: if both are given, or one has a wrong type, or the cache cannot be written.
    """
    if images is not None and stream is not None:
        raise UserError("cannot be combined with `stream`", field="images", hint="give one of them")
    if images is not None:
        if not isinstance(images, ImageData):
            raise UserError(
                field="images",
                given=type(images).__name__,
                allowed="an ImageData",
                hint="make one with lord.images",
            )
        return {"data": keep(images)}
    if stream is None:
        return {}
    data = as_images(stream)
    return {"data": keep(data), "scenario": "given", "tasks": number_of_tasks(data)}
