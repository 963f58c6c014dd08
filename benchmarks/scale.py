"""Measure the cost of a run to its study in bytes and seconds, to estimate that of thousands.

    python benchmarks/scale.py --out results/ray/scale.json

Measures checkpoints and run folders by short training on synthetic images. Measures the time and
memory of reading records, checking configurations and holding jobs.
"""

import argparse
import io
import json
import shlex
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lord.data import decode, load_images
from lord.data.cache import content_key
from lord.evaluation import read_record
from lord.storage import write_text
from lord.studies.engines import Job
from lord.studies.engines.ray import write_received
from lord.training import compose, flat, read_yaml, run
from lord.training.checkpoints import Checkpoints
from lord.training.config import difference
from lord.training.folder import CHECKPOINT, environment

MANY = 300
"""Number of records and jobs to average over."""
IMAGES: dict[str, Any] = {"preset": "s-cifar10", "tasks": 2, "epochs": 1, "buffer": 500}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="JSON file for the results")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_images(folder / "synthetic.npz")
        images = IMAGES | {"data": str(folder / "synthetic.npz")}
        runs = [
            sizes(folder, "er", {"width": 8, "epochs": 1}),
            sizes(folder, "lord", {"width": 8, "epochs": 1, "candidates": 8}),
            sizes(folder, "er", images | {"width": 16}),
            sizes(folder, "lord", images | {"width": 16, "candidates": 2}),
            sizes(folder, "er", images | {"width": 64}),
        ]
        result = {"runs": runs, "study": study(folder), "data": data(folder)}
    result["command"] = shlex.join(["python", *sys.argv])
    result["environment"] = environment()
    write_text(arguments.out, json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


def write_images(file: Path) -> None:
    """Write random 32 x 32 images of ten classes: 52 of each for training, one for testing."""
    source = np.random.default_rng(0)
    arrays = {}
    for split, number in (("train", 520), ("test", 10)):
        arrays[f"x_{split}"] = source.integers(0, 256, (number, 32, 32, 3), dtype=np.uint8)
        arrays[f"y_{split}"] = np.arange(number) % 10
    np.savez(file, **arrays)


def sizes(folder: Path, method: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Train with a buffer that is full at the end; return the bytes of checkpoint and folder."""
    settings = dict(settings)
    preset = settings.pop("preset", None)
    config = compose(method, settings | {"threads": 1}, preset=preset)
    out = folder / f"{method}-{config.network.width}-{config.preset}"
    checkpoints: list[int] = []
    write = Checkpoints.__call__

    def measured(self: Checkpoints) -> None:
        write(self)
        if self.file.exists():
            checkpoints.append(self.file.stat().st_size)

    Checkpoints.__call__ = measured  # type: ignore[method-assign]
    try:
        run(config, out)
    finally:
        Checkpoints.__call__ = write  # type: ignore[method-assign]
    files = {file.name: file.stat().st_size for file in out.iterdir()}
    return {
        "method": method,
        "preset": config.preset,
        "width": config.network.width,
        "buffer": config.settings.buffer,
        "checkpoint bytes": max(checkpoints),
        "folder bytes": sum(files.values()),
        "weights bytes": files["model.safetensors"],
        "files": len(files),
    }


def study(scratch: Path) -> dict[str, Any]:
    """Return the cost of each run to the process that starts the study's runs."""
    folder = scratch / "er-8-digits"
    config = compose("er", {"width": 8, "epochs": 1})
    images = load_images(config.data)
    records, record_bytes = held(lambda: [read_record(folder) for _ in range(MANY)])
    jobs, job_bytes = held(
        lambda: [
            Job(compose("er", {"width": 8}, seed=seed), folder, images) for seed in range(MANY)
        ]
    )
    values = flat(config) | {"threads": 1}
    content = b"x" * 10**7
    home = scratch / "home"
    home.mkdir()
    return {
        "ms to read a record": ms(lambda: read_record(folder)),
        "bytes of a record in memory": record_bytes,
        "ms to compose a configuration": ms(lambda: compose("er", {"width": 8})),
        "ms to check a finished run's configuration": ms(
            lambda: difference(read_yaml(folder / "config.yaml"), values, folder)
        ),
        "bytes of a job in memory": job_bytes,
        "ms to write a checkpoint of 10 MB that came home": ms(
            lambda: write_received(home, {CHECKPOINT: content}), 5
        ),
        "jobs and records made": len(jobs) + len(records),
    }


def data(scratch: Path) -> dict[str, Any]:
    """Return the cost to decode an image, and to hash its file."""
    file = scratch / "bytes"
    file.write_bytes(bytes(2 * 10**8))
    seconds = ms(lambda: content_key([file], file), 3) / 1000
    source = np.random.default_rng(0)
    encoded = io.BytesIO()
    Image.fromarray(source.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(encoded, "png")
    pictures = [(str(number), encoded.getvalue) for number in range(2000)]
    return {
        "ms to decode a PNG of noise, 32 x 32": ms(lambda: decode(pictures, None), 3) / 2000,
        "bytes of that PNG": len(encoded.getvalue()),
        "MB hashed a second": round(200 / seconds),
        "decoded bytes of a 32 x 32 image and its label": 32 * 32 * 3 + 8,
    }


def ms(call: Callable[[], object], times: int = 50) -> float:
    """Return the milliseconds of the fastest of some calls."""
    spent = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        spent.append(1000 * (time.perf_counter() - start))
    return round(min(spent), 3)


def held(make: Callable[[], list[Any]]) -> tuple[list[Any], int]:
    """Return the items that ``make`` makes, and the bytes of memory of one item."""
    tracemalloc.start()
    made = make()
    size = tracemalloc.get_traced_memory()[0] // len(made)
    tracemalloc.stop()
    return made, size


if __name__ == "__main__":
    main()
