"""Compare the speed of our DER, DER++ and LoRD with Avalanche's DER.

Images, network, batch, buffer and threads are the same. Avalanche sends stream and replayed images
through the network as one batch of 64. Our DER sends the same images in two passes, and our DER++
sends 96 images in three, as in its paper. So the results give steps and images per second. Only the
second task is timed, when the buffer is in use.

    python -m venv peers && peers/bin/pip install -r benchmarks/requirements-peers.txt
    peers/bin/pip install --no-deps -e .
    peers/bin/python benchmarks/peers.py --data cifar10/ --out results/speed/peers.json
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import torch
from avalanche.benchmarks import benchmark_from_datasets
from avalanche.benchmarks.utils.classification_dataset import (
    _make_taskaware_classification_dataset as as_dataset,
)
from avalanche.core import SupervisedPlugin
from avalanche.training.plugins import EvaluationPlugin
from avalanche.training.supervised.der import DER
from torch.utils.data import Dataset
from torchvision.transforms import v2

from lord.data import ImageData, load_images
from lord.methods import Batch, Progress
from lord.networks import ResNet18
from lord.storage import write_text
from lord.streams import Stream, Task, make_stream
from lord.training import RunConfig, compose, make_method
from lord.training.folder import environment

BATCH, BUFFER, IMAGES = 32, 500, 2000


class Images(Dataset):
    """A task's images in the form that Avalanche expects."""

    def __init__(self, task: Task) -> None:
        self.images, self.targets = task.images[:IMAGES], task.labels[:IMAGES].tolist()

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        return self.images[row], self.targets[row]


class Clock(SupervisedPlugin):
    """Record the seconds of each training iteration, with data loading."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []
        self.since = 0.0

    def before_training_epoch(self, strategy: object, **kwargs: object) -> None:
        self.since = time.perf_counter()

    def after_training_iteration(self, strategy: object, **kwargs: object) -> None:
        now = time.perf_counter()
        self.seconds.append(now - self.since)
        self.since = now


def avalanche_seconds(stream: Stream, config: RunConfig) -> list[float]:
    """Return the seconds of each of Avalanche's steps in the second task."""
    mean, std = config.protocol.mean, config.protocol.std
    augment = v2.Compose(
        [
            v2.RandomCrop(32, padding=4),
            v2.RandomHorizontalFlip(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(mean, std),
        ]
    )
    plain = v2.Compose([v2.ToDtype(torch.float32, scale=True), v2.Normalize(mean, std)])
    groups = {"train": (augment, None), "eval": (plain, None)}
    tasks = [
        as_dataset(Images(task), transform_groups=groups, task_labels=0)
        for task in stream.train[:2]
    ]
    benchmark = benchmark_from_datasets(train=tasks)
    network, clock = ResNet18(10, config.network.width), Clock()
    strategy = DER(
        model=network,
        optimizer=torch.optim.SGD(network.parameters(), lr=0.03),
        mem_size=BUFFER,
        batch_size_mem=BATCH,
        train_mb_size=BATCH,
        train_epochs=1,
        alpha=0.2,
        beta=0.5,
        plugins=[clock],
        evaluator=EvaluationPlugin(),
    )
    for experience in benchmark.train_stream:
        clock.seconds = []
        strategy.train(experience, num_workers=0)
    return clock.seconds


def our_seconds(config: RunConfig, images: ImageData, stream: Stream, *, bf16: bool) -> list[float]:
    """Return the seconds of each of our steps in the second task."""
    method, stream = make_method(config, images, stream, torch.device("cpu"))
    seconds: list[float] = []
    for task in stream.train[:2]:
        method.begin_task(task)
        seconds = []
        batches = torch.randperm(IMAGES).split(BATCH)
        for done, rows in enumerate(batches):
            start = time.perf_counter()
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                method.step(
                    Batch(task.images[rows], task.labels[rows], rows), Progress(done, len(batches))
                )
            seconds.append(time.perf_counter() - start)
    return seconds


def measure(data: str, width: int, threads: int, times: dict[str, list[float]]) -> None:
    """Time all methods once on some threads, and add their seconds to ``times``."""
    torch.set_num_threads(threads)
    settings = {"data": data, "width": width, "buffer": BUFFER}
    config = compose("der", settings, preset="s-cifar10")
    images = load_images(config.data)
    stream = make_stream(images, config.stream, 0)
    avalanche = times.setdefault(f"avalanche der, {threads}", [])
    avalanche += avalanche_seconds(stream, config)
    for name in ("der", "der++", "lord"):
        config = compose(name, settings, preset="s-cifar10")
        for precision in ("fp32", "bf16"):
            ours = times.setdefault(f"{name} {precision}, {threads}", [])
            ours += our_seconds(config, images, stream, bf16=precision == "bf16")


def compare(times: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    """Return each method's speed, and its speed relative to Avalanche's."""
    table = {}
    for key, seconds in times.items():
        images = 3 * BATCH if "der++" in key else 2 * BATCH
        step = statistics.median(seconds)
        peer = statistics.median(times[f"avalanche der, {key[-1]}"])
        table[key] = {"ms": 1e3 * step, "steps_per_s": 1 / step, "faster": peer / step}
        if "lord" not in key:
            table[key] |= {"images_per_s": images / step}
            table[key] |= {"faster_per_image": peer / (2 * BATCH) * images / step}
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder of CIFAR-10, in any layout")
    parser.add_argument("--width", type=int, default=16, help="channels of the first layer")
    parser.add_argument("--rounds", type=int, default=1, help="times each method is timed")
    parser.add_argument("--out", type=Path, help="JSON file for the results")
    arguments = parser.parse_args()
    times: dict[str, list[float]] = {}
    for threads in (1, 2):
        for _ in range(arguments.rounds):  # in turns, so that changes of load affect all methods
            measure(arguments.data, arguments.width, threads, times)
            medians = {key: round(1e3 * statistics.median(s), 1) for key, s in times.items()}
            print(medians, flush=True)
    table = compare(times)
    for key, row in table.items():
        print(key, {name: round(value, 2) for name, value in row.items()})
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        result = {"environment": environment(), "width": arguments.width, "peers": table}
        write_text(arguments.out, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
