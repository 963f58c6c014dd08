"""Our DER and DER++ beside Avalanche's DER: same images, network, batch, buffer and threads.

Avalanche passes stream and draw through the network as one batch of 64 images; our DER takes the
same images in two passes, our DER++ 96 in three (as its paper has it). So images a second are
compared, beside steps. Timed is the second task, when the buffer is in use.

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

from lord.data import load_images
from lord.methods import Batch
from lord.networks import ResNet18
from lord.storage import write_text
from lord.streams import make_stream
from lord.training import compose, make_method
from lord.training.folder import environment

BATCH, BUFFER, IMAGES = 32, 500, 2000


class Images(Dataset):
    """A task's images as Avalanche wants them."""

    def __init__(self, task):
        self.images, self.targets = task.images[:IMAGES], task.labels[:IMAGES].tolist()

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, row):
        return self.images[row], self.targets[row]


class Clock(SupervisedPlugin):
    """Seconds of each training iteration, data loading included."""

    def __init__(self):
        super().__init__()
        self.seconds, self.since = [], None

    def before_training_epoch(self, strategy, **kwargs):
        self.since = time.perf_counter()

    def after_training_iteration(self, strategy, **kwargs):
        now = time.perf_counter()
        self.seconds.append(now - self.since)
        self.since = now


def avalanche(stream, config):
    """Seconds of each step of the second task."""
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


def ours(name, stream, config, data, precision):
    method, stream = make_method(config, data, stream, torch.device("cpu"))
    seconds = []
    for task in stream.train[:2]:
        method.begin_task(task)
        seconds = []
        order = torch.randperm(IMAGES)
        for rows in order.split(BATCH):
            start = time.perf_counter()
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                method.step(Batch(task.images[rows], task.labels[rows], rows))
            seconds.append(time.perf_counter() - start)
    return seconds


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    found = {}
    for threads in (1, 2):
        torch.set_num_threads(threads)
        for _ in range(options.rounds):  # in turns, so that all see the same machine
            given = {"data": options.data, "width": options.width, "buffer": BUFFER}
            config = compose("der", given, preset="s-cifar10")
            data = load_images(config.data)
            stream = make_stream(data, config.stream, 0)
            found.setdefault(f"avalanche der, {threads}", []).extend(avalanche(stream, config))
            for name in ("der", "der++", "lord"):
                config = compose(name, given, preset="s-cifar10")
                for precision in ("fp32", "bf16"):
                    key = f"{name} {precision}, {threads}"
                    spent = ours(name, stream, config, data, precision)
                    found.setdefault(key, []).extend(spent)
            print(
                {key: round(1e3 * statistics.median(s), 1) for key, s in found.items()}, flush=True
            )
    table = {}
    for key, seconds in found.items():
        images = 3 * BATCH if "der++" in key else 2 * BATCH
        step = statistics.median(seconds)
        peer = statistics.median(found[f"avalanche der, {key[-1]}"])
        table[key] = {"ms": 1e3 * step, "steps_per_s": 1 / step, "faster": peer / step}
        if "lord" not in key:
            table[key] |= {"images_per_s": images / step}
            table[key] |= {"faster_per_image": peer / (2 * BATCH) * images / step}
    for key, row in table.items():
        print(key, {name: round(value, 2) for name, value in row.items()})
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        values = {"environment": environment(), "width": options.width, "peers": table}
        write_text(options.out, json.dumps(values, indent=1) + "\n")


if __name__ == "__main__":
    main()
