"""A limit on the bytes that a method keeps: the buffer gets what the models leave."""

from collections.abc import Iterator

import torch
from msgspec.structs import replace
from torch import Tensor

from lord.config import UserError, seeded
from lord.costs import tensor_bytes
from lord.data import ImageData
from lord.methods import AnyMethod, Batch, Progress
from lord.streams import Stream, Task
from lord.training.config import RunConfig
from lord.training.setup import make_method


def within_bytes(
    config: RunConfig, data: ImageData, stream: Stream, device: torch.device
) -> RunConfig:
    """Return the configuration with the largest buffer that fits into ``bytes``.

    The models and everything else are paid first, at their largest. Without ``bytes``, the
    configuration does not change. A short trial on a few images measures all sizes.

    Args:
        config: the run's configuration.
        data: the run's images.
        stream: all tasks cut from the images.
        device: device of the run.

    Raises:
        UserError: if the models and the smallest buffer need more bytes.
    """
    if (limit := config.training.bytes) is None:
        return config
    sized = hasattr(config.settings, "buffer")
    least = getattr(config.settings, "replay", 0)
    trial = replace(config, settings=replace(config.settings, buffer=least)) if sized else config
    models, row = _measured(trial, data, stream, device)
    rows = least
    if row and not sized:  # it stores every image
        rows = sum(len(task.labels) for task in stream.first(config.stream.stop_after).train)
    if models + rows * row > limit:
        samples = f" and {rows} samples of {row} bytes" if row else ""
        raise UserError(
            f"is too little for '{config.label}': its models need {models} bytes{samples}",
            field="bytes",
            given=limit,
            allowed=f"at least {models + rows * row}",
        )
    if not sized:
        return config
    size = int((limit - models) // row)
    return replace(config, settings=replace(config.settings, buffer=size))


def check_bytes(method: AnyMethod, limit: float | None) -> None:
    """Check that a method keeps at most ``limit`` bytes.

    Raises:
        UserError: if it keeps more.
    """
    if limit is not None and (kept := tensor_bytes(method.state_dict())) > limit:
        raise UserError(
            f"is too little for '{method.name}', which keeps more after a task",
            field="bytes",
            given=limit,
            allowed=f"at least {kept}",
        )


def _measured(
    config: RunConfig, data: ImageData, stream: Stream, device: torch.device
) -> tuple[int, int]:
    """Return the largest size of everything but the buffer, and the size of a row, in bytes."""
    method, stream = make_method(config, data, stream, device)
    largest = row = 0
    with torch.enable_grad(), seeded("memory", config.seed):
        for task in _tiny_tasks(stream, config.training.batch):
            method.begin_task(task)
            rows = torch.arange(config.training.batch, device=device) % len(task.labels)
            for step in range(2):
                batch = Batch(task.images[rows], task.labels[rows], rows)
                method.step(batch, Progress(step, 2))
            method.end_task(task)
            state = method.state_dict()
            columns: dict[str, Tensor] = (state.pop("buffer") or {}).get("columns", {})
            row = max(row, sum(column[0].nbytes for column in columns.values()))
            largest = max(largest, tensor_bytes(state))
    images = max(len(task.labels) for task in stream.train)
    return largest + method.bytes_to_come(images), row


def _tiny_tasks(stream: Stream, batch: int) -> Iterator[Task]:
    """Yield the first and the last task, with as many images as a batch, and all classes."""
    for place in sorted({0, len(stream.train) - 1}):
        task = stream.train[place]
        each = -(-batch // len(task.classes))
        rows = [(task.labels == label).nonzero().flatten()[:each] for label in task.classes]
        chosen = torch.cat(rows)
        yield Task(task.index, task.classes, task.images[chosen], task.labels[chosen])
