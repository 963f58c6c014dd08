"""Five weeks of photographs from the shell, uninterrupted and with a kill in week three.

python benchmarks/five_weeks.py --data cifar10/ --out results/five-weeks
"""

import argparse
import json
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from PIL import Image

from lord.data import DataConfig, ImageData, load_images
from lord.learner import STATE_FILE, Learner, load_learner
from lord.storage import write_text
from lord.training.folder import environment

WEEKS = (
    {"cat": 300, "ship": 150, "truck": 220},
    {"frog": 260, "horse": 120, "cat": 60},
    {"ship": 140, "horse": 180, "cat": 40},  # no new class
    {"airplane": 240, "dog": 280, "frog": 30},
    {"dog": 60, "truck": 90, "ship": 70, "airplane": 110},  # no new class
)
"""Images of each class that arrive."""


def folders(images: ImageData, root: Path) -> list[Path]:
    """The weeks as folders of PNG files, one folder a class; no image comes twice."""
    names, given, made = list(images.classes), dict.fromkeys(images.classes, 0), []
    for number, week in enumerate(WEEKS, 1):
        made.append(root / f"week{number}")
        for name, count in week.items():
            rows = (images.train_labels == names.index(name)).nonzero().flatten()
            place = made[-1] / name
            place.mkdir(parents=True)
            for row in rows[given[name] : given[name] + count].tolist():
                picture = images.train_images[row].permute(1, 2, 0).numpy()
                Image.fromarray(picture).save(place / f"{row}.png")
            given[name] += count
    return made


def learn(week: Path, state: Path, first: list[str], kill: bool = False) -> str:
    """``lord learn`` as typed; or killed when it has written its second checkpoint."""
    command = [sys.executable, "-m", "lord", "learn", str(week), "--state", str(state)]
    command += ["--checkpoint-every", "2", *first]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    if kill:
        for _ in range(2):
            before = (state / STATE_FILE).stat().st_mtime_ns
            while (state / STATE_FILE).stat().st_mtime_ns == before and process.poll() is None:
                time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    said = process.communicate()[0]
    ended = -signal.SIGKILL if kill else 0
    if process.returncode != ended:
        raise SystemExit(f"{' '.join(command)}: ended with {process.returncode}")
    return said


def score(state: Path, images: ImageData) -> tuple[float, Learner]:
    """Accuracy on the test images of the classes learnt, and the learner."""
    learner, _ = load_learner(state)
    names = list(images.classes)
    known = torch.tensor([names.index(name) for name in learner.classes])
    rows = torch.isin(images.test_labels, known)
    labels = [names[label] for label in images.test_labels[rows].tolist()]
    return learner.evaluate(images.test_images[rows], labels), learner


def same(one: Learner, other: Learner) -> bool:
    """Whether both have the same weights and the same images in their buffers."""
    mine, theirs = one.method, other.method
    assert mine
    assert theirs
    assert mine.buffer
    assert theirs.buffer
    pairs = [(mine.predictor.state_dict(), theirs.predictor.state_dict())]
    pairs += [(dict(mine.buffer.columns), dict(theirs.buffer.columns))]
    return all(torch.equal(a[name], b[name]) for a, b in pairs for name in a)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="CIFAR-10, any layout")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--settings", default="", help="of lord learn, for another learner")
    parser.add_argument("--seeds", type=int, default=1, help="the uninterrupted session over seeds")
    options = parser.parse_args()
    images = load_images(DataConfig(data=options.data))
    options.out.mkdir(parents=True, exist_ok=True)
    result: dict[str, object] = {"weeks": WEEKS, "settings": options.settings}
    with tempfile.TemporaryDirectory() as scratch:
        weeks = folders(images, Path(scratch))
        accuracies = []
        for seed in range(options.seeds):
            whole = Path(scratch) / f"whole{seed}"
            given = [*options.settings.split(), "--seed", str(seed)]
            said = [learn(w, whole, given * (not n)) for n, w in enumerate(weeks)]
            accuracy, learner = score(whole, images)
            accuracies.append(accuracy)
            print(*said, f"seed {seed}: {accuracy:.2f} %", sep="\n", flush=True)
        result["accuracy"] = accuracies
        result["said"] = [re.sub(r"\s+", " ", text).strip() for text in said]
        killed = Path(scratch) / "killed"
        for number, week in enumerate(weeks):
            first = given * (not number)
            if number == 2:
                learn(week, killed, first, kill=True)
                half, _ = load_learner(killed)
                result["killed in"] = f"week {len(half.sessions) + 1}"
                result["unfinished"] = half.unfinished is not None
            learn(week, killed, first)
        again, resumed = score(killed, images)
        result |= {"accuracy after a kill": again, "equal bit for bit": same(learner, resumed)}
    result["environment"] = environment()
    write_text(options.out / "five-weeks.json", json.dumps(result, indent=1) + "\n")
    print(json.dumps({k: v for k, v in result.items() if k != "said"}, indent=1))


if __name__ == "__main__":
    main()
