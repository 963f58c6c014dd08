"""Compare buffers for a learner with uneven classes: a reservoir, or equal shares.

    python benchmarks/keeping.py --data cifar10/ --out results/keeping

Four common classes come for eight weeks. Three rare classes come only in the first two weeks. The
buffer holds 200 images. Measures each class's test accuracy, and its images in the buffer at the
end.
"""

import argparse
import json
import shlex
import sys
from collections import Counter
from pathlib import Path

import torch

from lord.data import DataConfig, ImageData, load_images
from lord.learner import Learner
from lord.storage import write_text
from lord.training.folder import environment

COMMON = {"cat": 100, "ship": 100, "truck": 100, "dog": 100}
WEEKS = (
    COMMON | {"bird": 5, "frog": 40},
    COMMON | {"frog": 20, "deer": 15},
    *([COMMON] * 6),
)
"""Images of each class by week."""
BUFFERS: dict[str, dict[str, object]] = {
    "selection": {"admission": 0.75, "keep": "reservoir"},
    "reservoir": {"admission": 0, "keep": "reservoir"},
    "balanced": {"admission": 0, "keep": "balanced"},
}


def trained(images: ImageData, settings: dict[str, object], seed: int) -> Learner:
    """Return a learner that has learned all weeks. No image is used twice."""
    learner = Learner(network="resnet18", epochs=5, buffer=200, seed=seed, **settings)
    used = Counter[str]()
    for week in WEEKS:
        rows, labels = [], []
        for name, count in week.items():
            of_class = images.train_labels == images.classes.index(name)
            rows.append(of_class.nonzero().flatten()[used[name] : used[name] + count])
            labels += [name] * count
            used[name] += count
        learner.learn(images.train_images[torch.cat(rows)], labels)
    return learner


def scores(learner: Learner, images: ImageData) -> dict[str, dict[str, float]]:
    """Return each class's accuracy in %, and its images in the buffer."""
    assert learner.method
    assert learner.method.buffer
    buffer = learner.method.buffer
    labels = buffer.columns["labels"][: len(buffer)].tolist()
    held = Counter(learner.classes[label] for label in labels)
    rows = {}
    for name in learner.classes:
        of_class = images.test_labels == images.classes.index(name)
        accuracy = learner.evaluate(images.test_images[of_class], [name] * int(of_class.sum()))
        rows[name] = {"accuracy": round(accuracy, 1), "kept": held[name]}
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder of CIFAR-10, in any layout")
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    images = load_images(DataConfig(data=arguments.data))
    by_class: dict[str, list[dict[str, dict[str, float]]]] = {name: [] for name in BUFFERS}
    means: dict[str, list[float]] = {name: [] for name in BUFFERS}
    for seed in range(arguments.seeds):
        for name, settings in BUFFERS.items():
            rows = scores(trained(images, settings, seed), images)
            by_class[name].append(rows)
            means[name].append(round(sum(row["accuracy"] for row in rows.values()) / len(rows), 2))
            print(seed, name, means[name][-1], rows, flush=True)
    result = {"weeks": WEEKS, "mean over classes": means, "classes": by_class}
    arguments.out.mkdir(parents=True, exist_ok=True)
    origin = {"command": shlex.join(["python", *sys.argv]), "environment": environment()}
    text = json.dumps(result | origin, indent=1)
    write_text(arguments.out / "keeping.json", text + "\n")


if __name__ == "__main__":
    main()
