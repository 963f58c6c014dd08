"""Measure ``lord learn`` on photographs that arrive over four weeks.

    python benchmarks/photographs_learners.py --tiny tiny-imagenet/ --out results/photographs

The photographs are those of ``benchmarks/photographs.py``. ``photographs_baselines.py`` measures
what a user without this package would do with them. Learners see each week's photographs only in
that week:

slda-64, -128, -224: the default, a closed-form head over EfficientNet-Lite0 with ImageNet weights.
    It resizes images to as many pixels. At 64 x 64 pixels, 128 is the default.
fused-64: LoRD beside that head (``lord-fused``), with five epochs per session.
nothing: lord+ with a ResNet-18 from random weights, at 32 pixels, with five epochs.
shallow-32, -64: lord+ with resnet8 from random weights, with five epochs.
stem-64: the same at 64 pixels, with the lowest frequencies as the first filters (``stem=dct``).
fifteen-64, thirty-64: shallow-64 with as many epochs.
auto-64: shallow-64 with the default number of epochs, which is larger for few images.
fused-auto-64: fused-64 with that number.

For each week, the file ``learners.json`` has accuracy, seconds and bytes. Accuracy is that on test
images of the classes seen so far. Seconds are those of one thread, with decoding and writing. Bytes
are those of the state.
The time to load Python and to export the network once is not in the seconds. Measured rows stay.
``load`` is the number of processes that ran before a row was measured. If it is not close to 0,
its seconds are too high.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from photographs import WEEKS, make, repeated

from lord.backbone import Backbone, BackboneConfig
from lord.data import load_labelled
from lord.learner import Learner, learn_folder
from lord.storage import write_text
from lord.training.folder import environment

SIDE = 64
BACKBONE = "efficientnet-lite0"
SHALLOW = {"method": "lord+", "network": "resnet8", "width": 32, "epochs": 5}
FUSED = {"method": "lord-fused", "backbone": BACKBONE}
METHODS: dict[str, tuple[dict[str, Any], int]] = {
    "slda-64": ({}, 64),
    "slda-128": ({}, 128),
    "slda-224": ({}, 224),
    "fused-64": (FUSED | {"epochs": 5}, 64),
    "nothing": ({"method": "lord+", "network": "resnet18", "epochs": 5}, 32),
    "shallow-32": (SHALLOW | {"stem": "random"}, 32),
    "shallow-64": (SHALLOW | {"stem": "random"}, 64),
    "stem-64": (SHALLOW | {"stem": "dct"}, 64),
    "fifteen-64": (SHALLOW | {"epochs": 15}, 64),
    "thirty-64": (SHALLOW | {"epochs": 30}, 64),
    "auto-64": (SHALLOW | {"epochs": None}, 64),
    "fused-auto-64": (FUSED, 64),
}
"""Settings of each learner, and the side in pixels to which images are resized."""


def accuracy(learner: Learner, tests: Path, resize: int) -> float:
    """Return the accuracy in percent on the test images of the classes learned."""
    images, labels, _ = load_labelled(tests, resize)
    rows = [row for row, label in enumerate(labels) if label in learner.classes]
    found = learner.predict(images[rows])
    right = sum(a == labels[row] for a, row in zip(found, rows, strict=True))
    return round(100 * right / len(rows), 2)


def measure(name: str, choice: int, photographs: Path, state: Path) -> dict[str, object]:
    """Teach a learner four weeks of photographs and test it after each."""
    settings, resize = METHODS[name]
    if "network" not in settings:  # exports the frozen network
        backbone = Backbone(BackboneConfig(backbone=BACKBONE, backbone_size=resize), SIDE)
        backbone(torch.zeros(1, 3, resize, resize, dtype=torch.uint8))
    load, weeks = os.getloadavg()[0], []
    for number in range(1, len(WEEKS) + 1):
        wall, cpu = time.perf_counter(), time.process_time()
        folder = photographs / f"week{number}"
        learner = learn_folder(
            state, folder, settings | {"seed": choice}, resize=resize, tolerance=100
        )
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        row: dict[str, object] = {"classes": len(learner.classes)}
        row["accuracy"] = accuracy(learner, photographs / "test", resize)
        row |= {"seconds": round(wall, 2), "cpu_seconds": round(cpu, 2)}
        row["flops"] = learner.sessions[-1].flops
        row["state_bytes"] = sum(file.stat().st_size for file in state.iterdir() if file.is_file())
        weeks.append(row)
        print(f"{name}, choice {choice}, week {number}: {row}", flush=True)
    return {"weeks": weeks, "seed": choice, "load": round(load, 2), "environment": environment()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiny", type=Path, required=True, help="folder of parquet files")
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--choices", default="0,1,2", help="choices of classes (comma-separated)")
    parser.add_argument("--methods", default=",".join(METHODS), help="comma-separated")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    file = arguments.out / "learners.json"
    result = json.loads(file.read_text()) if file.exists() else {"rows": {}}
    arguments.out.mkdir(parents=True, exist_ok=True)
    for choice in map(int, arguments.choices.split(",")):
        with tempfile.TemporaryDirectory() as scratch:
            make(Path(scratch) / "photographs", arguments.tiny, choice)
            os.environ["LORD_CACHE"] = scratch  # features of earlier rows would cost no time
            for name in arguments.methods.split(","):
                key = f"{name}, choice {choice}"
                if key in result["rows"]:
                    continue
                state = Path(scratch) / name
                result["rows"][key] = measure(name, choice, Path(scratch) / "photographs", state)
                result["command"] = repeated(arguments.tiny, arguments.out, result["rows"])
                write_text(file, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
