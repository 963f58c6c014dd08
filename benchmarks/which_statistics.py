"""Find the images on which batch-norm running statistics should be recomputed.

    python benchmarks/which_statistics.py --data cifar10/ --runs runs/which-statistics \\
        --out results/which-statistics/which.json

Trains each method once and scores it with statistics of different images. Each run has a folder in
--runs; a finished run is not trained again.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from unittest import mock

import torch
from torch import Tensor

from lord.data import DataConfig, ImageData, load_images
from lord.evaluation import score
from lord.methods import AnyMethod
from lord.methods.statistics import recomputed_statistics, statistics_over
from lord.storage import write_text
from lord.streams import Stream, Task, make_stream
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
"""Number of images for each kind of statistics. It is the size of the buffer."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder of CIFAR-10, in any layout")
    parser.add_argument("--runs", type=Path, required=True, help="folder for the runs")
    parser.add_argument("--out", type=Path, required=True, help="JSON file for the results")
    parser.add_argument("--methods", default=",".join(METHODS), help="variants (comma-separated)")
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    data = load_images(DataConfig(data=arguments.data))
    rows: dict[str, dict[str, list[float]]] = {}
    for seed in range(arguments.seeds):
        for name in arguments.methods.split(","):
            settings = COMMON | {"data": arguments.data}
            config = compose(name, settings, preset="s-cifar10", seed=seed)
            folder = arguments.runs / folder_name(config)
            file = folder / "by-statistics.json"
            if not file.is_file():
                write_text(file, json.dumps(train_and_score(config, data, folder), indent=1))
            scores = json.loads(file.read_text())
            print(seed, name, scores, flush=True)
            for source, value in scores.items():
                rows.setdefault(name, {}).setdefault(source, []).append(value)
    origin = {"command": shlex.join(["python", *sys.argv]), "environment": environment()}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    write_text(arguments.out, json.dumps({"class_il": rows} | origin, indent=1) + "\n")


def train_and_score(config: RunConfig, data: ImageData, folder: Path) -> dict[str, float]:
    """Train in ``folder``. Return Class-IL in % by the images that the statistics come from."""
    trained: list[AnyMethod] = []
    with mock.patch.object(
        import_module("lord.training.run"),
        "write_artifacts",
        lambda *arguments: trained.append(arguments[2].method),
    ):
        # The written artifacts have no buffer, so take the method itself.
        record = run(config, folder, overwrite=True)
    (method,) = trained
    stream = make_stream(data, config.stream, config.seed)
    scores = {"as trained": record.class_il}
    for source, batches in sources(method, stream).items():
        with torch.autocast("cpu", torch.bfloat16), statistics_over(method.predictor, batches):
            scores[source] = mean_accuracy(method, stream)
    with torch.autocast("cpu", torch.bfloat16), recomputed_statistics(method):
        assert abs(scores["buffer"] - mean_accuracy(method, stream)) < 1e-6
    assert abs(scores["buffer"] - (record.class_il_recomputed or 0)) < 1e-6
    return scores | {"training FLOPs": record.training_flops}


def mean_accuracy(method: AnyMethod, stream: Stream) -> float:
    """Return the mean Class-IL accuracy over all tasks, in %."""
    each = score(method.predict, stream.test, len(stream.class_names)).class_il
    return sum(each) / len(each)


def sources(method: AnyMethod, stream: Stream) -> dict[str, Iterator[Tensor]]:
    """Return normalised batches by the source of their images."""
    assert method.buffer
    plain, augmented = method.augment.normalise, method.augment
    buffer = method.buffer.held["images"]
    buffer = buffer[torch.randperm(len(buffer))]
    newest = stream.train[-1].images
    newest = newest[torch.randperm(len(newest))[: IMAGES // 2]]

    def even(tasks: Sequence[Task]) -> Tensor:
        """Return as many images of each class, interleaved so that each batch has all classes."""
        parts = []
        for task in tasks:
            for label in task.classes:
                rows = (task.labels == label).nonzero().flatten()
                share = IMAGES // len(stream.class_names)
                parts.append(task.images[rows[torch.randperm(len(rows))[:share]]])
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
