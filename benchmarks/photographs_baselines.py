"""Measure what a user without this package would do with photographs that arrive over four weeks.

    python benchmarks/photographs_baselines.py --tiny tiny-imagenet/ --out results/photographs

A choice of ``resnet18`` takes a quarter of an hour, and the others a minute. To measure the first
only once, run ``--methods hog,frozen-64,frozen-128,frozen-224`` and then ``--methods resnet18
--choices 0``.

The photographs are those of ``benchmarks/photographs.py``. Each baseline keeps all photographs and
learns all of them again each week:

hog: scikit-learn's logistic regression on histograms of gradients and colours. Features are
    computed once per photograph.
resnet18: a ResNet-18 trained from random weights for five epochs. It has torchvision's stem, since
    the stem for small images costs 16 times as much at 64 x 64.
frozen-64, -128, -224: scikit-learn's logistic regression on the features of EfficientNet-Lite0 with
    ImageNet weights, frozen, on images enlarged to as many pixels. The time to load the network
    is not measured, and its 19 MB are not in ``model_bytes``.

For each week, the file ``baselines.json`` has accuracy, seconds and bytes. Accuracy is that on test
images of the classes seen so far. Seconds are those of one thread, with decoding. Bytes are those
of all that is kept. Measured rows stay, so an interrupted study goes on with the next row.
``--again`` replaces them. ``load`` is the number of processes that ran before a row was measured.
If it is not close to 0, its seconds are too high.
"""

import argparse
import json
import os
import pickle
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
import sklearn
import torch
import torch.nn.functional as F
from photographs import WEEKS, make, repeated
from PIL import Image
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from lord.backbone import Backbone, BackboneConfig
from lord.networks import ResNet18
from lord.storage import write_text
from lord.training.folder import environment

SIDE = 64
CELL, ANGLES = 8, 9
"""Side in pixels of a histogram's cell, and number of its angles."""
COLOUR, C = 6, 0.1
"""Weight of colours, and inverse strength of the logistic regressions' penalty. Both were chosen on
the test images of choices 17, 18 and 19, which the study does not use."""
EPOCHS, BATCH = 5, 32
LR, MOMENTUM, WEIGHT_DECAY = 0.05, 0.9, 5e-4
"""Settings of the ResNet. They were not tuned."""


class Baseline(Protocol):
    """What learns each week's photographs."""

    def learn(self, images: np.ndarray, labels: list[str]) -> None:
        """Learn N x 64 x 64 x 3 images of a week, as bytes, and all earlier ones."""

    def predict(self, images: np.ndarray) -> list[str]:
        """Return the classes of images."""

    def model(self) -> object:
        """Return what is kept for predictions, to be pickled."""


class OnFeatures:
    """Logistic regression on features, fitted each week to those of all photographs.

    features: maps N x 64 x 64 x 3 images, as bytes, to N x D values. It sees each photograph once.
    """

    def __init__(self, features: Callable[[np.ndarray], np.ndarray]) -> None:
        self.features = features
        self.classifier = LogisticRegression(C=C, max_iter=1000)
        self.rows: list[np.ndarray] = []
        self.labels: list[str] = []

    def learn(self, images: np.ndarray, labels: list[str]) -> None:
        self.rows.append(self.features(images))
        self.labels += labels
        self.classifier.fit(np.concatenate(self.rows), self.labels)

    def predict(self, images: np.ndarray) -> list[str]:
        return list(self.classifier.predict(self.features(images)))

    def model(self) -> object:
        return self.classifier


def gradients_and_colours(images: np.ndarray) -> np.ndarray:
    """Return each image's histograms: of gradients by cell (Dalal & Triggs 2005) and of colours."""
    grey = images.mean(-1, dtype=np.float32) / 255
    down, right = np.gradient(grey, axis=(1, 2))
    angle = (np.arctan2(down, right) % np.pi * ANGLES / np.pi).astype(int) % ANGLES
    weighted = np.hypot(down, right)[..., None] * np.eye(ANGLES, dtype=np.float32)[angle]
    n, cells = len(images), SIDE // CELL
    cell = weighted.reshape(n, cells, CELL, cells, CELL, ANGLES).sum((2, 4))
    corners = (cell[:, :-1, :-1], cell[:, :-1, 1:], cell[:, 1:, :-1], cell[:, 1:, 1:])
    block = np.concatenate(corners, -1)  # four neighbouring cells
    block /= np.linalg.norm(block, axis=-1, keepdims=True) + 1e-3
    colour = (images // 64).astype(int) @ (16, 4, 1)  # four steps of red, green and blue
    histogram = np.stack([np.bincount(row.ravel(), minlength=64) for row in colour])
    return np.concatenate([block.reshape(n, -1), COLOUR * np.sqrt(histogram / SIDE**2)], 1)


def frozen(size: int) -> Baseline:
    """Return logistic regression on the features of a pretrained network, at ``size`` pixels."""
    backbone = Backbone(BackboneConfig(backbone="efficientnet-lite0", backbone_size=size), SIDE)

    def features(images: np.ndarray) -> np.ndarray:
        return backbone(torch.from_numpy(images).permute(0, 3, 1, 2)).numpy()

    features(np.zeros((1, SIDE, SIDE, 3), np.uint8))  # exports the network
    return OnFeatures(features)


class Retrained:
    """A ResNet-18 that is trained from new random weights each week, on all photographs."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.images = torch.empty(0, 3, SIDE, SIDE, dtype=torch.uint8)
        self.labels: list[str] = []

    def learn(self, images: np.ndarray, labels: list[str]) -> None:
        torch.manual_seed(self.seed)
        self.images = torch.cat([self.images, torch.from_numpy(images).permute(0, 3, 1, 2)])
        self.labels += labels
        self.classes = sorted(set(self.labels))
        targets = torch.tensor([self.classes.index(label) for label in self.labels])
        pixels = self.images.float()
        self.mean, self.std = (
            f(pixels, dim=(0, 2, 3)).view(3, 1, 1) for f in (torch.mean, torch.std)
        )
        self.network = with_torchvision_stem(ResNet18(len(self.classes)))
        optimizer = torch.optim.SGD(
            self.network.parameters(), LR, MOMENTUM, weight_decay=WEIGHT_DECAY, nesterov=True
        )
        steps = EPOCHS * -(-len(targets) // BATCH)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LR, total_steps=steps)
        self.network.train()
        for _ in range(EPOCHS):
            for rows in torch.randperm(len(targets)).split(BATCH):
                logits = self.network(augmented((self.images[rows] - self.mean) / self.std))
                optimizer.zero_grad()
                F.cross_entropy(logits, targets[rows]).backward()
                optimizer.step()
                schedule.step()
        self.network.eval()

    def predict(self, images: np.ndarray) -> list[str]:
        pixels = (torch.from_numpy(images).permute(0, 3, 1, 2) - self.mean) / self.std
        with torch.no_grad():
            found = torch.cat([self.network(batch).argmax(1) for batch in pixels.split(BATCH)])
        return [self.classes[label] for label in found.tolist()]

    def model(self) -> object:
        return {name: value.numpy() for name, value in self.network.state_dict().items()}


def with_torchvision_stem(network: ResNet18) -> ResNet18:
    """Give the network a 7 x 7 stem of stride 2 with max-pooling."""
    width = network.stem.out_channels
    network.stem = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
    network.bn = nn.Sequential(nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1))
    return network


def augmented(pixels: Tensor) -> Tensor:
    """Mirror half of the images, and shift each by up to an eighth of its side."""
    margin = SIDE // 8
    flip = torch.rand(len(pixels)) < 0.5
    pixels = torch.where(flip.view(-1, 1, 1, 1), pixels.flip(3), pixels)
    wide = F.pad(pixels, [margin] * 4)
    corners = torch.randint(2 * margin + 1, (len(pixels), 2)).tolist()
    return torch.stack(
        [image[:, y : y + SIDE, x : x + SIDE] for image, (y, x) in zip(wide, corners, strict=True)]
    )


METHODS: dict[str, Callable[[int], Baseline]] = {
    "hog": lambda _: OnFeatures(gradients_and_colours),
    "frozen-64": lambda _: frozen(64),
    "frozen-128": lambda _: frozen(128),
    "frozen-224": lambda _: frozen(224),
    "resnet18": Retrained,
}
"""Each baseline by name, made for a seed."""


def read(folder: Path, classes: set[str] | None = None) -> tuple[np.ndarray, list[str]]:
    """Decode the photographs of a folder, of all or some classes; return them and their classes."""
    files = sorted(folder.glob("*/*.jpg"))
    files = [file for file in files if not classes or file.parent.name in classes]
    images = [np.asarray(Image.open(file).convert("RGB")) for file in files]
    return np.stack(images), [file.parent.name for file in files]


def measure(name: str, choice: int, photographs: Path) -> dict[str, object]:
    """Teach a baseline four weeks of photographs and test it after each."""
    load = os.getloadavg()[0]
    baseline, weeks, known, images_bytes = METHODS[name](choice), [], set[str](), 0
    for number in range(1, len(WEEKS) + 1):
        folder = photographs / f"week{number}"
        images_bytes += sum(file.stat().st_size for file in folder.glob("*/*.jpg"))
        wall, cpu = time.perf_counter(), time.process_time()
        images, labels = read(folder)
        baseline.learn(images, labels)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        known |= set(labels)
        tests, expected = read(photographs / "test", known)
        found = baseline.predict(tests)
        right = sum(a == b for a, b in zip(found, expected, strict=True))
        row = {"classes": len(known), "accuracy": round(100 * right / len(expected), 2)}
        row |= {"seconds": round(wall, 2), "cpu_seconds": round(cpu, 2)}
        row |= {
            "photograph_bytes": images_bytes,
            "model_bytes": len(pickle.dumps(baseline.model())),
        }
        weeks.append(row)
        print(f"{name}, choice {choice}, week {number}: {row}", flush=True)
    origin = environment() | {"numpy": np.__version__, "scikit-learn": sklearn.__version__}
    return {"weeks": weeks, "seed": choice, "load": round(load, 2), "environment": origin}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiny", type=Path, required=True, help="folder of parquet files")
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--choices", default="0,1,2", help="choices of classes (comma-separated)")
    parser.add_argument("--methods", default=",".join(METHODS), help="comma-separated")
    parser.add_argument("--again", action="store_true", help="replace measured rows")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    file = arguments.out / "baselines.json"
    result = json.loads(file.read_text()) if file.exists() else {"rows": {}}
    arguments.out.mkdir(parents=True, exist_ok=True)
    for choice in map(int, arguments.choices.split(",")):
        with tempfile.TemporaryDirectory() as scratch, threadpool_limits(1):
            make(Path(scratch) / "photographs", arguments.tiny, choice)
            os.environ["LORD_CACHE"] = scratch  # features of earlier rows would cost no time
            for name in arguments.methods.split(","):
                key = f"{name}, choice {choice}"
                if key in result["rows"] and not arguments.again:
                    continue
                result["rows"][key] = measure(name, choice, Path(scratch) / "photographs")
                result["command"] = repeated(arguments.tiny, arguments.out, result["rows"])
                write_text(file, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
