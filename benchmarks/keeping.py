"""What a learner should keep where classes come unevenly: a reservoir's sample, or as many of each.

    python benchmarks/keeping.py --data cifar10/ --out results/keeping

Eight weeks of four common classes, and three that came a few times in the first two weeks only; a
buffer of 200. Accuracy on test images of each class, and how many of it the buffer still has.
"""

import argparse
import json
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
WAYS = {
    "selection": {"admission": 0.75, "keep": "reservoir"},
    "reservoir": {"admission": 0, "keep": "reservoir"},
    "balanced": {"admission": 0, "keep": "balanced"},
}


def learnt(images: ImageData, settings: dict[str, object], seed: int) -> Learner:
    learner = Learner(buffer=200, seed=seed, **settings)
    names, given = list(images.classes), Counter[str]()
    for week in WEEKS:
        rows, labels = [], []
        for name, count in week.items():
            own = (images.train_labels == names.index(name)).nonzero().flatten()
            rows.append(own[given[name] : given[name] + count])
            labels += [name] * count
            given[name] += count
        learner.learn(images.train_images[torch.cat(rows)], labels)
    return learner


def scored(learner: Learner, images: ImageData) -> dict[str, dict[str, float]]:
    """By class: accuracy in %, and images in the buffer."""
    assert learner.method
    assert learner.method.buffer
    held = learner.method.buffer.columns["labels"][: len(learner.method.buffer)].tolist()
    kept = Counter(learner.classes[label] for label in held)
    rows = {}
    for name in learner.classes:
        own = images.test_labels == list(images.classes).index(name)
        accuracy = learner.evaluate(images.test_images[own], [name] * int(own.sum()))
        rows[name] = {"accuracy": round(accuracy, 1), "kept": kept[name]}
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="CIFAR-10, any layout")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    images = load_images(DataConfig(data=options.data))
    ways: dict[str, list[dict[str, dict[str, float]]]] = {way: [] for way in WAYS}
    means: dict[str, list[float]] = {way: [] for way in WAYS}
    for seed in range(options.seeds):
        for way, settings in WAYS.items():
            rows = scored(learnt(images, settings, seed), images)
            ways[way].append(rows)
            means[way].append(round(sum(row["accuracy"] for row in rows.values()) / len(rows), 2))
            print(seed, way, means[way][-1], rows, flush=True)
    result = {"weeks": WEEKS, "mean over classes": means, "classes": ways}
    options.out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(result | {"environment": environment()}, indent=1)
    write_text(options.out / "keeping.json", text + "\n")


if __name__ == "__main__":
    main()
