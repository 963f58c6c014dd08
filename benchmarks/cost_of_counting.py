"""Measure how much counting FLOPs slows a training step.

python benchmarks/cost_of_counting.py --out results/speed/cost_of_counting.json
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import torch
import torch.nn.functional as F

from lord.costs import FlopCount, LayerCount
from lord.costs.meter import next_check
from lord.data import DataConfig, load_images
from lord.methods import Batch, Progress
from lord.networks import ResNet18, to_channels_last
from lord.storage import write_text
from lord.streams import StreamConfig, make_stream
from lord.training import compose, make_method
from lord.training.folder import environment


def plain_step(width: int) -> Callable[[], None]:
    """Return a step of the protocol's network on 32 images of 32 x 32 pixels."""
    network = to_channels_last(ResNet18(10, width))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.03)
    images = torch.randn(32, 3, 32, 32).to(memory_format=torch.channels_last)
    labels = torch.randint(10, (32,))

    def step() -> None:
        loss = F.cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def method_step(name: str, width: int) -> Callable[[], None]:
    """Return a step of a method in the second task of the digits."""
    config = compose(name, {"width": width}, preset="digits")
    images = load_images(DataConfig())
    stream = make_stream(images, StreamConfig(tasks=5), seed=0)
    method, stream = make_method(config, images, stream, torch.device("cpu"))
    rows = torch.arange(32)

    def step() -> None:
        method.step(Batch(task.images[rows], task.labels[rows], rows), Progress(0, 100))

    for task in stream.train[:2]:
        method.begin_task(task)
        step()
    return step


def compare(step: Callable[[], None], seconds: float, run: int) -> dict[str, float]:
    """Time steps that are not counted, counted by layers, and counted by operators, in turn.

    Args:
        step: makes one training step.
        seconds: how long to measure.
        run: steps of a task, of which some are checked.

    Returns:
        CPU milliseconds of a step, and ratios to a step that is not counted: by layers, by
        operators, and the mean over a task that is not the first, counted as in a run.
    """
    layers = LayerCount()
    ways = {"none": nullcontext, "layers": lambda: layers, "operators": FlopCount}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        with way():
            step()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for name in sorted(ways, key=lambda _: torch.rand(()).item()):
            start = time.process_time()  # other processes disturb it less than wall time
            with ways[name]():
                step()
            times[name].append(time.process_time() - start)
    none, by_layers = times["none"], times["layers"]
    # Neighbours share the machine's load, so ratios are taken within each round.
    layers_ratio = statistics.median(b / a for a, b in zip(none, by_layers, strict=True))
    exact = statistics.median(b / a for a, b in zip(none, times["operators"], strict=True))
    later = sum(next_check(number) == number for number in range(run + 1, 2 * run))
    checked = (1 + later) / run  # the first step of a task is always checked
    return {
        "rounds": len(none),
        "ms": 1e3 * statistics.median(none),
        "layers": layers_ratio,
        "operators": exact,
        "checked": checked,
        "task": layers_ratio + checked * (exact - 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=35, help="seconds for each row")
    parser.add_argument("--run", type=int, default=300, help="steps of a task")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="JSON file for the results")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    steps = {
        "ResNet-18, width 16, 32 x 32": lambda: plain_step(16),
        "ResNet-18, width 4, 32 x 32": lambda: plain_step(4),
        "er, digits, width 32": lambda: method_step("er", 32),
        "er, digits, width 8": lambda: method_step("er", 8),
    }
    rows = {}
    for name, make in steps.items():
        rows[name] = compare(make(), arguments.seconds, arguments.run)
        print(name, {key: round(value, 4) for key, value in rows[name].items()}, flush=True)
    if arguments.out:
        about = vars(arguments) | {"out": None}
        result = {"environment": environment(), "about": about, "steps": rows}
        write_text(arguments.out, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
