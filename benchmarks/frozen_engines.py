"""Time a frozen network in PyTorch, with bf16 and fp32, and in onnxruntime, and compare features.

    python benchmarks/frozen_engines.py --out results/pretrained/engines.json

For each size, the file has the median milliseconds an image of one image and of 64, on one thread.
``gap`` is the largest difference from the features in fp32, as a share of the largest feature. The
images are random.
"""

import argparse
import json
import shlex
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from lord.backbone.config import BackboneConfig
from lord.backbone.engine import Eager, Runtime
from lord.backbone.features import Backbone
from lord.data.cache import cache_folder
from lord.storage import write_text
from lord.training.folder import environment

NAME, SIZES, TIMES = "efficientnet-lite0", (64, 128, 224), 15


def milliseconds(engine: Callable[[Tensor], Tensor], images: Tensor) -> float:
    """Return the median milliseconds an image, after two passes that are not counted."""
    found = []
    for _ in range(TIMES + 2):
        start = time.perf_counter()
        engine(images)
        found.append(time.perf_counter() - start)
    return round(1000 * statistics.median(found[2:]) / len(images), 2)


def measure(size: int) -> dict[str, dict[str, float]]:
    """Return the figures of each engine at a size in pixels."""
    backbone = Backbone(BackboneConfig(backbone=NAME, backbone_size=size), size)
    backbone(torch.zeros(1, 3, size, size, dtype=torch.uint8))  # exports the ONNX file
    fp32 = Eager(backbone.network)

    def bf16(images: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return backbone.network(images.contiguous(memory_format=torch.channels_last)).float()

    onnx = Runtime(cache_folder() / f"backbone-{backbone.digest}.onnx")
    images = torch.randint(0, 256, (64, 3, size, size)).float()
    wanted, found = fp32(images), {}
    for name, engine in (("fp32", fp32), ("bf16", torch.no_grad()(bf16)), ("onnxruntime", onnx)):
        gap = float((engine(images) - wanted).abs().max() / wanted.abs().max())
        one, many = milliseconds(engine, images[:1]), milliseconds(engine, images)
        found[name] = {"ms of one": one, "ms of 64": many, "gap": round(gap, 6)}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="JSON file")
    out = parser.parse_args().out
    torch.set_num_threads(1)
    torch.manual_seed(0)
    result = {"command": shlex.join(["python", *sys.argv]), "environment": environment()}
    result |= {"network": NAME, "sizes": {str(size): measure(size) for size in SIZES}}
    write_text(out, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
