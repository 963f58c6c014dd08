"""Compare networks and image sizes for a learner, over five sessions of new classes.

    python benchmarks/learner_networks.py sprites --data domains/sprites \
        --learners resnet18:16:32:5 resnet8:32:64:5:dct --out results/learner-networks
    python benchmarks/learner_networks.py digits --learners resnet18:16:8:5 resnet8:32:8:5 \
        --out results/learner-networks

A learner is given as NETWORK:WIDTH:SIDE:EPOCHS, with the side of its images in pixels. EPOCHS may
be ``auto``, the default. Its stem is random, or what a fifth part says. All else is as by default.
Each session has the next fifth of the classes, in an order by seed. The file ``STREAM.json`` has,
for each learner and seed, the accuracy on the test images of all classes after each session, the
FLOPs, and the CPU seconds of one thread. Measured rows stay. ``load`` is the number of processes
that ran before a row was measured. If it is not close to 0, its seconds are too high.
"""

import argparse
import json
import os
import shlex
import sys
import time
from pathlib import Path
from typing import Any

import torch

from lord import Learner
from lord.data import DataConfig, load_images
from lord.storage import write_text
from lord.streams import Stream, StreamConfig, make_stream
from lord.training.folder import environment

SESSIONS = 5


def measure(stream: Stream, **settings: Any) -> dict[str, object]:
    """Teach a learner one task a session, and test it after each on the classes so far."""
    learner = Learner(**settings)
    load, seconds = os.getloadavg()[0], 0.0
    accuracies = []
    for number, task in enumerate(stream.train, 1):
        before = time.process_time()
        learner.learn(task.images, names(task.labels))
        seconds += time.process_time() - before
        tests = stream.test[:number]
        images = torch.cat([test.images for test in tests])
        labels = torch.cat([test.labels for test in tests])
        accuracies.append(round(learner.evaluate(images, names(labels)), 2))
    return {
        "accuracy": accuracies,
        "flops": sum(session.flops for session in learner.sessions),
        "cpu_seconds": round(seconds, 1),
        "load": round(load, 2),
        "environment": environment(),
    }


def names(labels: torch.Tensor) -> list[str]:
    """Return names of classes by number."""
    return [str(label) for label in labels.tolist()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stream", help="name of the JSON file")
    parser.add_argument("--data", default="digits", help="path of the images")
    parser.add_argument("--learners", nargs="+", required=True, metavar="LEARNER")
    parser.add_argument("--method", default="lord+")
    parser.add_argument("--backbone", help="frozen network, for lord-fused")
    parser.add_argument("--subset", type=float, default=1.0, help="share of the training images")
    parser.add_argument("--seeds", type=int, nargs="+", default=(0, 1, 2))
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    given = parser.parse_args()
    torch.set_num_threads(1)
    file = given.out / f"{given.stream}.json"
    given.out.mkdir(parents=True, exist_ok=True)
    result = json.loads(file.read_text()) if file.exists() else {"rows": {}}
    result["command"] = shlex.join(["python", *sys.argv])
    config = StreamConfig(tasks=SESSIONS, order="seeded", subset=given.subset, test_subset=0.4)
    for learner in given.learners:
        network, width, side, epochs, stem = [*learner.split(":"), "random"][:5]
        settings = {"method": given.method, "network": network, "width": width, "stem": stem}
        settings |= {} if epochs == "auto" else {"epochs": epochs}
        settings |= {"backbone": given.backbone} if given.backbone else {}
        resize = None if given.data == "digits" else int(side)
        data = load_images(DataConfig(data=given.data, resize=resize))
        for seed in given.seeds:
            if (key := f"{learner}, seed {seed}") not in result["rows"]:
                row = measure(make_stream(data, config, seed), seed=seed, **settings)
                result["rows"][key] = row
                print(key, row["accuracy"], row["flops"], row["cpu_seconds"], flush=True)
                write_text(file, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
