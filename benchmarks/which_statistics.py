"""Which images should batch-norm statistics be recomputed on? Trained once, scored under each.

    python benchmarks/which_statistics.py --data cifar10/ --runs runs/which-statistics \\
        --out results/which-statistics/which.json

Each run has its folder in --runs; what is there is not trained again.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from unittest import mock

import torch
from torch import Tensor

from lord.data import DataConfig, ImageData, load_images
from lord.evaluation import score
from lord.methods import Method
from lord.methods.statistics import recomputed_statistics, statistics_over
from lord.storage import write_text
from lord.streams import Stream, make_stream
from lord.training import RunConfig, compose, run
from lord.training.config import folder_name
from lord.training.folder import environment

METHODS = (
    "lord+:pace=4:epochs=1",
    "lord+:pace=4:merged=false:beta=1:epochs=1",
    "er-las:epochs=1",
    "mean-er:tau=1:rate=1:decay=0.97:epochs=1",
    "der++:tau=1:epochs=1",
)
COMMON = {
    **{"width": 16, "buffer": 500, "precision": "bf16", "threads": 1, "order": "seeded"},
    **{"optimizer": "muon", "lr": 0.05, "momentum": 0.6, "weight_decay": 0.01},
    "schedule": "triangle",
}
IMAGES = 500
"""Looked at by every way of recomputing: as many as the buffer holds."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="CIFAR-10, any layout")
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    data = load_images(DataConfig(data=options.data))
    rows: dict[str, dict[str, list[float]]] = {}
    for seed in range(options.seeds):
        for name in options.methods.split(","):
            settings = COMMON | {"data": options.data}
            config = compose(name, settings, preset="s-cifar10", seed=seed)
            folder = options.runs / folder_name(config)
            file = folder / "by-statistics.json"
            if not file.is_file():
                write_text(file, json.dumps(scored(config, data, folder), indent=1))
            found = json.loads(file.read_text())
            print(seed, name, found, flush=True)
            for way, value in found.items():
                rows.setdefault(name, {}).setdefault(way, []).append(value)
    told = {"command": shlex.join(["python", *sys.argv]), "environment": environment()}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_text(options.out, json.dumps({"class_il": rows} | told, indent=1) + "\n")


def scored(config: RunConfig, data: ImageData, folder: Path) -> dict[str, float]:
    """Class-IL by whose statistics, in %; the run's own results are left in ``folder``."""
    trained: list[Method] = []
    with mock.patch.object(
        import_module("lord.training.run"), "leave", lambda *given: trained.append(given[2])
    ):
        # What it leaves has no buffer: the method itself is taken.
        record = run(config, folder, overwrite=True)
    (method,) = trained
    stream = make_stream(data, config.stream, config.seed)
    found = {"as trained": record.class_il}
    for way, batches in ways(method, stream).items():
        with torch.autocast("cpu", torch.bfloat16), statistics_over(method.predictor, batches):
            found[way] = mean_accuracy(method, stream)
    with torch.autocast("cpu", torch.bfloat16), recomputed_statistics(method):
        assert abs(found["buffer"] - mean_accuracy(method, stream)) < 1e-6
    assert abs(found["buffer"] - (record.class_il_recomputed or 0)) < 1e-6
    return found | {"training FLOPs": record.training_flops}


def mean_accuracy(method: Method, stream: Stream) -> float:
    each = score(method.predict, stream.test, len(stream.class_names)).class_il
    return sum(each) / len(each)


def ways(method: Method, stream: Stream) -> dict[str, Iterator[Tensor]]:
    """Batches as the network takes them, by where their images come from."""
    assert method.buffer
    plain, augmented = method.augment.normalise, method.augment
    buffer = method.buffer.held["images"]
    buffer = buffer[torch.randperm(len(buffer))]
    newest = stream.train[-1].images
    newest = newest[torch.randperm(len(newest))[: IMAGES // 2]]

    def even(tasks: object) -> Tensor:
        """As many of each class, in the classes' turn: every batch has all of them."""
        parts = []
        for task in tasks:  # type: ignore[attr-defined]
            for label in task.classes:
                own = (task.labels == label).nonzero().flatten()
                share = IMAGES // len(stream.class_names)
                parts.append(task.images[own[torch.randperm(len(own))[:share]]])
        return torch.stack(parts, 1).flatten(0, 1)

    mixed = [torch.cat(pair) for pair in zip(newest.split(32), buffer.split(32), strict=False)]
    return {
        "buffer": map(plain, method.buffer.held["images"].split(32)),
        "buffer, augmented": map(augmented, buffer.split(32)),
        "training images of all classes": map(plain, even(stream.train).split(32)),
        "test images, without their labels": map(plain, even(stream.test).split(32)),
        "half newest task, half buffer": map(plain, mixed),
        "the same, augmented": map(augmented, mixed),
    }


if __name__ == "__main__":
    main()
