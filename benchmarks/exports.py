"""Compare exported models with PyTorch: agreement, accuracy, size and time at each level.

    python benchmarks/exports.py --data cifar10/ --out results/exports

A learner learns CIFAR-10 two classes at a time. After each session it is exported at its current
width, as ONNX in fp32 and int8 and as pt2.
"""

import argparse
import json
import shlex
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch

from lord.config import UserError
from lord.data import DataConfig, ImageData, load_images
from lord.learner import Deployed, Learner, export_int8, export_onnx, export_pt2
from lord.methods import deployable
from lord.storage import write_text
from lord.training.folder import environment

IMAGES = 1000
"""Number of test images to compare."""
REPEATS, WARM_UP = 30, 2


def milliseconds(call: Callable[[Any], object], argument: object) -> float:
    """Return the median time of a call, after two calls to warm up."""
    times = []
    for _ in range(REPEATS + WARM_UP):
        start = time.perf_counter()
        call(argument)
        times.append(time.perf_counter() - start)
    return 1e3 * float(np.median(times[WARM_UP:]))


def percent(probabilities: np.ndarray, labels: torch.Tensor) -> float:
    """Return the accuracy in %."""
    return round(100 * float((probabilities.argmax(1) == labels.numpy()).mean()), 2)


def measure_onnx(file: Path, images: torch.Tensor) -> tuple[np.ndarray, dict[str, float]]:
    """Return an ONNX model's probabilities, and its size and time on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    pixels = images.contiguous().numpy()
    row = {"MB": round(file.stat().st_size / 1e6, 3)}
    for count in (1, 32):
        feed = {"images": pixels[:count]}
        row[f"ms for {count}"] = round(milliseconds(partial(session.run, None), feed), 3)
    return session.run(None, {"images": pixels})[0], row


def learn(learner: Learner, images: ImageData, pair: tuple[int, int], per_class: int) -> None:
    """Teach the learner two classes."""
    rows = [(images.train_labels == c).nonzero().flatten()[:per_class] for c in pair]
    labels = [images.classes[n] for n in images.train_labels[torch.cat(rows)].tolist()]
    learner.learn(images.train_images[torch.cat(rows)], labels)


def known_test_images(learner: Learner, data: ImageData) -> tuple[torch.Tensor, torch.Tensor]:
    """Return test images of the classes learned so far, and their labels for the learner."""
    known = [data.classes.index(name) for name in learner.classes]
    rows = torch.isin(data.test_labels, torch.tensor(known)).nonzero().flatten()[:IMAGES]
    labels = [known.index(n) for n in data.test_labels[rows].tolist()]
    return data.test_images[rows], torch.tensor(labels)


def compare_exports(learner: Learner, images: torch.Tensor, labels: torch.Tensor) -> dict[str, Any]:
    """Export the learner in all formats and compare each with PyTorch."""
    assert learner.method
    assert learner.method.buffer
    deployed = Deployed(deployable(learner.method))
    with torch.no_grad():
        expected = deployed(images).numpy()
        row: dict[str, Any] = {
            "level": learner.sessions[-1].level,
            "classes": len(learner.classes),
            "parameters": sum(p.numel() for p in deployed.network.parameters()),
            "images": len(images),
            "pytorch ms for 1": round(milliseconds(deployed, images[:1]), 3),
        }
    with tempfile.TemporaryDirectory() as scratch:
        fp32, int8, pt2 = (Path(scratch) / name for name in ("fp32.onnx", "int8.onnx", "m.pt2"))
        export_onnx(deployed, learner.classes, images[:64], fp32)
        found, row["fp32"] = measure_onnx(fp32, images)
        row["largest difference"] = float(abs(found - expected).max())
        row["same class"] = float((found.argmax(1) == expected.argmax(1)).mean())
        row["fp32"]["accuracy"] = percent(found, labels)
        export_pt2(deployed, learner.classes, images[:2], pt2)
        row["pt2 MB"] = round(pt2.stat().st_size / 1e6, 3)
        buffer, held = learner.method.buffer.columns, len(learner.method.buffer)
        try:
            export_int8(fp32, buffer["images"][:held], buffer["labels"][:held], int8)
            found, row["int8"] = measure_onnx(int8, images)
            row["int8"]["accuracy"] = percent(found, labels)
        except UserError as error:
            row["int8"] = str(error)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder of CIFAR-10, in any layout")
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--width", type=int, default=16, help="channels of the first layer")
    parser.add_argument("--per-class", type=int, default=500, help="training images per class")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    data = load_images(DataConfig(data=arguments.data))
    learner = Learner(network="resnet18", width=arguments.width, epochs=5, pace=2)
    rows = []
    for first in range(0, 10, 2):
        learn(learner, data, (first, first + 1), arguments.per_class)
        rows.append(compare_exports(learner, *known_test_images(learner, data)))
        print(json.dumps(rows[-1]), flush=True)
    arguments.out.mkdir(parents=True, exist_ok=True)
    origin = {"command": shlex.join(["python", *sys.argv]), "environment": environment()}
    result = {"width": arguments.width, "rows": rows} | origin
    write_text(arguments.out / "exports.json", json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
