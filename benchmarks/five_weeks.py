"""Teach a learner five weeks of photos, and compare it with a learner killed in week three.

    python benchmarks/five_weeks.py --data cifar10/ --out results/five-weeks

Each week is one ``lord learn`` command. Reports test accuracy for each seed, and
whether the killed learner ends with the same weights and buffer bit for bit.
"""

import argparse
import json
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from PIL import Image

from lord.data import DataConfig, ImageData, load_images
from lord.learner import STATE_FILE, Learner
from lord.storage import write_text
from lord.training.folder import environment

WEEKS = (
    {"cat": 300, "ship": 150, "truck": 220},
    {"frog": 260, "horse": 120, "cat": 60},
    {"ship": 140, "horse": 180, "cat": 40},  # no new class
    {"airplane": 240, "dog": 280, "frog": 30},
    {"dog": 60, "truck": 90, "ship": 70, "airplane": 110},  # no new class
)
"""Images of each class by week."""
KILLED_WEEK = 2
"""Index of the week in which the session is killed."""
CHECKPOINTS = 2
"""Number of checkpoints that a session writes before it is killed."""


def write_weeks(images: ImageData, root: Path) -> list[Path]:
    """Write the weeks as folders of PNG files, one folder for each class; no image comes twice."""
    used, weeks = dict.fromkeys(images.classes, 0), []
    for number, counts in enumerate(WEEKS, 1):
        weeks.append(root / f"week{number}")
        for name, count in counts.items():
            folder = weeks[-1] / name
            folder.mkdir(parents=True)
            of_class = images.train_labels == images.classes.index(name)
            rows = of_class.nonzero().flatten()[used[name] : used[name] + count]
            for row in rows.tolist():
                pixels = images.train_images[row].permute(1, 2, 0).numpy()
                Image.fromarray(pixels).save(folder / f"{row}.png")
            used[name] += count
    return weeks


def learn(week: Path, state: Path, options: list[str], *, kill: bool = False) -> str:
    """Run ``lord learn`` on a week and return its output.

    kill: kill it after it has written its second checkpoint.
    """
    command = [sys.executable, "-m", "lord", "learn", str(week), "--state", str(state)]
    command += ["--checkpoint-every", "2", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    if kill:
        for _ in range(CHECKPOINTS):
            before = (state / STATE_FILE).stat().st_mtime_ns
            while (state / STATE_FILE).stat().st_mtime_ns == before and process.poll() is None:
                time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    output = process.communicate()[0]
    if process.returncode != (-signal.SIGKILL if kill else 0):
        raise SystemExit(f"{' '.join(command)}: exit status {process.returncode}")
    return output


def evaluate(state: Path, images: ImageData) -> tuple[float, Learner]:
    """Return the accuracy in % on the test images of all learned classes, and the learner."""
    learner = Learner.load(state)
    known = torch.tensor([images.classes.index(name) for name in learner.classes])
    rows = torch.isin(images.test_labels, known)
    labels = [images.classes[label] for label in images.test_labels[rows].tolist()]
    return learner.evaluate(images.test_images[rows], labels), learner


def same(first: Learner, second: Learner) -> bool:
    """Return whether two learners have equal weights and equal buffers."""
    one, other = first.method, second.method
    assert one
    assert other
    assert one.buffer
    assert other.buffer
    pairs = [
        (one.predictor.state_dict(), other.predictor.state_dict()),
        (dict(one.buffer.columns), dict(other.buffer.columns)),
    ]
    return all(torch.equal(a[name], b[name]) for a, b in pairs for name in a)


def run_seeds(
    weeks: list[Path], images: ImageData, root: Path, options: list[list[str]]
) -> tuple[list[float], list[str], Learner]:
    """Teach one learner for each list of options without interruption.

    Returns the accuracies, and the output and the learner of the last.
    """
    accuracies = []
    for seed, first in enumerate(options):
        state = root / f"whole{seed}"
        outputs = [learn(week, state, [] if n else first) for n, week in enumerate(weeks)]
        accuracy, learner = evaluate(state, images)
        accuracies.append(accuracy)
        print(*outputs, f"seed {seed}: {accuracy:.2f} %", sep="\n", flush=True)
    return accuracies, outputs, learner


def run_killed(
    weeks: list[Path], images: ImageData, state: Path, first: list[str]
) -> tuple[float, Learner, dict[str, object]]:
    """Teach a learner with a kill. Return its accuracy, the learner, and its state at the kill."""
    after_kill: dict[str, object] = {}
    for number, week in enumerate(weeks):
        options = [] if number else first
        if number == KILLED_WEEK:
            learn(week, state, options, kill=True)
            learner = Learner.load(state)
            after_kill["killed in"] = f"week {len(learner.sessions) + 1}"
            after_kill["unfinished"] = learner.unfinished is not None
        learn(week, state, options)
    return *evaluate(state, images), after_kill


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder of CIFAR-10, in any layout")
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    first = "options of 'lord learn' for the first week"
    parser.add_argument("--settings", default="--epochs 5", help=first)
    parser.add_argument("--seeds", type=int, default=1, help="uninterrupted learners")
    arguments = parser.parse_args()
    images = load_images(DataConfig(data=arguments.data))
    arguments.out.mkdir(parents=True, exist_ok=True)
    settings = arguments.settings.split()
    options = [[*settings, "--seed", str(seed)] for seed in range(arguments.seeds)]
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        weeks = write_weeks(images, root)
        accuracies, outputs, whole = run_seeds(weeks, images, root, options)
        accuracy, resumed, after_kill = run_killed(weeks, images, root / "killed", options[-1])
        result: dict[str, object] = {
            "weeks": WEEKS,
            "settings": arguments.settings,
            "accuracy": accuracies,
        }
        result["said"] = [re.sub(r"\s+", " ", text).strip() for text in outputs]
        result |= after_kill | {"accuracy after a kill": accuracy}
        result["equal bit for bit"] = same(whole, resumed)
    result["command"] = shlex.join(["python", *sys.argv])
    result["environment"] = environment()
    write_text(arguments.out / "five-weeks.json", json.dumps(result, indent=1) + "\n")
    print(json.dumps({k: v for k, v in result.items() if k != "said"}, indent=1))


if __name__ == "__main__":
    main()
