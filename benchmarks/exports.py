"""Exported models by level: agreement with PyTorch on 1,000 test images, size, time, int8.

A learner meets CIFAR-10 two classes at a time and is exported after each session, at the width it
has then.

python benchmarks/exports.py --data cifar10/ --out results/exports
"""

import argparse
import json
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
from lord.data import DataConfig, load_images
from lord.learner import Deployed, Learner, export_int8, export_onnx, export_pt2
from lord.storage import write_text
from lord.training.folder import environment

IMAGES = 1000
"""Test images compared."""
REPEATS = 30


def milliseconds(call: Callable[[Any], Any], given: Any) -> float:
    """The median of several calls, after two that do not count."""
    spent = []
    for _ in range(REPEATS + 2):
        start = time.perf_counter()
        call(given)
        spent.append(time.perf_counter() - start)
    return 1e3 * float(np.median(spent[2:]))


def measured(file: Path, images: torch.Tensor) -> tuple[np.ndarray, dict[str, float]]:
    """Probabilities of an ONNX model on one thread, its size, its time for one and for 32."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    given = images.contiguous().numpy()
    row = {"MB": round(file.stat().st_size / 1e6, 3)}
    for count in (1, 32):
        part = {"images": given[:count]}
        row[f"ms for {count}"] = round(milliseconds(partial(session.run, None), part), 3)
    return session.run(None, {"images": given})[0], row


def percent(probabilities: np.ndarray, labels: torch.Tensor) -> float:
    return round(100 * float((probabilities.argmax(1) == labels.numpy()).mean()), 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="CIFAR-10, any layout")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--per-class", type=int, default=500, help="training images a class")
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = load_images(DataConfig(data=options.data))
    learner = Learner(width=options.width, pace=2)
    rows = []
    for first in range(0, 10, 2):
        pair = (first, first + 1)
        own = [(data.train_labels == c).nonzero().flatten()[: options.per_class] for c in pair]
        labels = data.train_labels[torch.cat(own)].tolist()
        learner.learn(data.train_images[torch.cat(own)], [data.classes[n] for n in labels])
        assert learner.method
        assert learner.method.buffer
        known = [data.classes.index(name) for name in learner.classes]
        chosen = torch.isin(data.test_labels, torch.tensor(known)).nonzero().flatten()[:IMAGES]
        images = data.test_images[chosen]
        right = torch.tensor([known.index(n) for n in data.test_labels[chosen].tolist()])
        deployed = Deployed(learner.method.predictor, *learner.normalisation)
        with torch.no_grad():
            wanted = deployed(images).numpy()
            row = {
                "level": learner.sessions[-1].level,
                "classes": len(known),
                "parameters": sum(p.numel() for p in deployed.network.parameters()),
                "images": len(images),
                "pytorch ms for 1": round(milliseconds(deployed, images[:1]), 3),
            }
        with tempfile.TemporaryDirectory() as scratch:
            fp32, int8 = Path(scratch) / "fp32.onnx", Path(scratch) / "int8.onnx"
            export_onnx(deployed, learner.classes, images[:64], fp32)
            found, row["fp32"] = measured(fp32, images)
            row["largest difference"] = float(abs(found - wanted).max())
            row["same class"] = float((found.argmax(1) == wanted.argmax(1)).mean())
            row["fp32"]["accuracy"] = round(
                100 * float((found.argmax(1) == right.numpy()).mean()), 2
            )
            export_pt2(deployed, learner.classes, images[:2], Path(scratch) / "m.pt2")
            row["pt2 MB"] = round((Path(scratch) / "m.pt2").stat().st_size / 1e6, 3)
            buffer, held = learner.method.buffer.columns, len(learner.method.buffer)
            try:
                export_int8(fp32, buffer["images"][:held], buffer["labels"][:held], int8)
                found, row["int8"] = measured(int8, images)
                row["int8"]["accuracy"] = percent(found, right)
            except UserError as error:
                row["int8"] = str(error)
        rows.append(row)
        print(json.dumps(row), flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    result = {"width": options.width, "rows": rows, "environment": environment()}
    write_text(options.out / "exports.json", json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
