"""Small methods: eight filters, the digits."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from lord.data import load_images
from lord.methods import AnyMethod, Batch, Progress, Scalars
from lord.streams import Stream, Task, make_stream
from lord.training import compose, make_method

Make = Callable[..., tuple[AnyMethod, Stream]]

SMALL: dict[str, dict[str, Any]] = {
    "lord": {"candidates": 8},
    "lord+": {"candidates": 8},
    "lord-fused": {"candidates": 8},
    "ranpac": {"projection": 64},
    "gdumb": {"anytime": True, "passes": 31, "buffer": 64},
    "ewc-on": {"subset": 0.3},  # after a task, a backward pass an image
    "er-tricks": {"fits": 5},
    "mean-er": {"rate": 1.0, "decay": 0.9},
    "cls-er": {"rate": 0.9, "decay": 0.9},
}
"""Settings that make single methods fast."""


@pytest.fixture
def make() -> Make:
    """Return a function that makes an untrained method and its stream."""

    def build(
        name: str, seed: int = 0, device: str = "cpu", **settings: Any
    ) -> tuple[AnyMethod, Stream]:
        defaults = {"width": 8, "lr": 0.05}
        config = compose(name, defaults | SMALL.get(name, {}) | settings, seed=seed)
        data = load_images(config.data)
        stream = make_stream(data, config.stream, config.seed)
        return make_method(config, data, stream, torch.device(device))

    return build


def batch_of(task: Task, step: int, size: int = 16) -> Batch:
    """Return the batch of a step. Batches repeat in one shuffled order."""
    order = torch.randperm(len(task.labels), generator=torch.Generator().manual_seed(0))
    rows = order[torch.arange(step * size, (step + 1) * size) % len(order)]
    return Batch(task.images[rows], task.labels[rows], rows)


def take(method: AnyMethod, task: Task, step: int, size: int = 16) -> Scalars:
    """Take one step of a task."""
    progress = Progress(step, method.context.steps(task))
    return method.step(batch_of(task, step, size), progress)


def learn(method: AnyMethod, stream: Stream, tasks: int, steps: int = 6) -> None:
    """Take ``steps`` steps in each of the first ``tasks`` tasks."""
    for task in stream.train[:tasks]:
        method.begin_task(task)
        for step in range(steps):
            take(method, task, step)
        method.end_task(task)
