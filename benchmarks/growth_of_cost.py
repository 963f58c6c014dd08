"""Time a step early and late in a long stream, to see whether tasks and buffer slow it down.

python benchmarks/growth_of_cost.py --data tiny-imagenet/ --out results/speed/growth.json
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import torch

from lord.costs import tensor_bytes
from lord.data import load_images
from lord.evaluation import score
from lord.methods import AnyMethod, Batch, Progress
from lord.storage import write_text
from lord.streams import Stream, Task, make_stream
from lord.training import compose, make_method
from lord.training.folder import environment

CPU = torch.device("cpu")
STEPS = 12
PROGRESS = Progress(0, 1)  # the learning rate is constant
EARLY = {"der++": 5, "lord": 25}
"""The early task to time. LoRD's student has its full width by then: the number of tasks is about
the number of levels of its ladder."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder of Tiny-ImageNet")
    parser.add_argument("--tasks", type=int, default=100)
    parser.add_argument("--width", type=int, default=8, help="channels of the first layer")
    parser.add_argument("--out", type=Path, help="JSON file for the results")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for name in EARLY:
        for buffer in (200, 50_000):
            rows.append(measure(name, buffer, arguments))
            print(rows[-1])
    if arguments.out:
        result = {"environment": environment(), "tasks": arguments.tasks, "rows": rows}
        write_text(arguments.out, json.dumps(result, indent=1) + "\n")


def measure(name: str, buffer: int, arguments: argparse.Namespace) -> dict[str, object]:
    """Run two steps of every task, fill the buffer, and time the early and the last task."""
    settings = {"data": arguments.data, "tasks": arguments.tasks, "width": arguments.width}
    settings |= {"resize": 32, "buffer": buffer}
    config = compose(name, settings, preset="s-tinyimg")
    images = load_images(config.data)
    method, stream = make_method(config, images, make_stream(images, config.stream, 0), CPU)
    row: dict[str, object] = {"method": name, "buffer": buffer}
    for task in stream.train:
        method.begin_task(task)
        for _ in range(2):
            method.step(Batch(task.images[:32], task.labels[:32], torch.arange(32)), PROGRESS)
        fill(method, task, buffer)
        if task.index + 1 in (EARLY[name], arguments.tasks):
            row |= timings(method, stream, task)
        method.end_task(task)
    return row


def fill(method: AnyMethod, task: Task, size: int) -> None:
    """Offer images of the task to the buffer until it is as full as in a real run."""
    while len(method.buffer) < min(size, 500 * (task.index + 1)):
        rows = torch.randint(len(task.labels), (500,))
        images, labels = task.images[rows], task.labels[rows]
        method.buffer.offer(images=images, labels=labels, logits=torch.zeros(500, 200))


def timings(method: AnyMethod, stream: Stream, task: Task) -> dict[str, float]:
    """Return the time of a step and of an evaluation, and the bytes of buffer and state."""
    number = task.index + 1
    times = []
    for step in range(STEPS):
        rows = torch.arange(32) + 32 * step
        start = time.perf_counter()
        method.step(Batch(task.images[rows], task.labels[rows], rows), PROGRESS)
        times.append(time.perf_counter() - start)
    start = time.perf_counter()
    score(method.predict, stream.test[:number], 2 * number)
    evaluation = time.perf_counter() - start
    buffer = tensor_bytes(method.buffer.state_dict())
    rest = tensor_bytes(method.state_dict()) - buffer
    return {
        f"ms, task {number}": round(1e3 * statistics.median(times), 1),
        f"evaluation s, {number} tasks": round(evaluation, 1),
        f"buffer MB, task {number}": round(buffer / 1e6, 1),
        f"rest of state MB, task {number}": round(rest / 1e6, 2),
    }


if __name__ == "__main__":
    main()
