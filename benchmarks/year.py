"""A year in the life of a learner: 52 weeks of photographs, with everything that goes wrong.

    python benchmarks/year.py --tiny tiny-imagenet/ --older d9fb691 --out results/year

The photographs are those of ``year_photographs.py``. Each week, ``lord learn`` runs once, on that
week's folder. In 20 weeks, its process is killed at a random time, and the command is repeated. Two
weeks are learned under wrong names, undone with ``lord undo``, and learned again. Two classes
become one, one class is removed, and forty photographs are forgotten. The first weeks are learned
by an older version of this package. Today's version goes on from its state.

All the while, ``lord serve`` answers a client that asks for the class of test images and checks
each answer. An answer names the version of the learner that gave it. It is right if it is what
that version, read from a copy of its folder, says of that image.

Every fourth week, scikit-learn's logistic regression learns all photographs so far from the same
frozen features. It keeps them all, has no copies among them, and never sees a wrong name. Its
seconds are those of the fit.

``year-seed0.json`` has for each week the accuracy on test images of the classes so far. It also has
the seconds of the week's processes, their peak memory, that of the server so far, and the bytes of
the folder. Each process has one thread.
"""

import argparse
import json
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from year_client import Client
from year_photographs import WEEKS, WRONG, Year, make_year

from lord.learner import Learner
from lord.serving.served import load_served
from lord.storage import write_text
from lord.training.folder import environment

MERGE, REMOVE, FORGET, OLD_WEEKS, EVERY = 20, 26, 35, 4, 4
"""Weeks after which classes are merged, one is removed and photographs are forgotten. Weeks learned
by the older version. Weeks between two fits of logistic regression."""
DONE = "was learned already"
"""What ``lord learn`` says of a folder that has nothing new."""
FORGOTTEN, KILLS, SIDE, PROBES = 40, 20, 64, 40
"""Photographs to forget, kills, side of images in pixels, and test images that are asked for."""


class Keeper:
    """Runs the commands of the year on one learner.

    Args:
        scratch: folder for all files.
        older: folder with the source of the older version; None to use this one from the start.
        probes: files of the test images that the client asks for.
    """

    def __init__(self, scratch: Path, older: Path | None, probes: list[Path]) -> None:
        self.scratch, self.older, self.probes = scratch, older, probes
        self.state = scratch / "memory"
        self.expected: dict[str, dict[str, str]] = {}
        self.seconds, self.killed, self.peak = 0.0, 0, 0

    def lord(
        self,
        *words: object,
        kill_after: float | None = None,
        old: bool = False,
        again: bool = False,
    ) -> None:
        """Run a command to its end. It is killed once, after some seconds, and started again.

        If a session ended just before the kill, the repeated command refuses its folder as learned
        already. That is no error here. It is known by its text, because the older version has the
        exit code of any mistake for it.
        """
        line = [sys.executable, "-m", "lord", *map(str, words)]
        source = {"PYTHONPATH": str(self.older)} if old and self.older else {}
        surroundings = os.environ | source | {"OMP_NUM_THREADS": "1"}
        start = time.perf_counter()
        process = subprocess.Popen(
            line, env=surroundings, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        threading.Thread(target=self.note_peak, args=(process,), daemon=True).start()
        if kill_after is not None:
            try:
                process.wait(kill_after)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
                self.killed += 1
                return self.lord(*words, old=old, again=True)
        assert process.stdout
        text = process.stdout.read()
        process.wait()
        self.seconds += time.perf_counter() - start
        if process.returncode and not (again and DONE in text):
            raise SystemExit(f"{shlex.join(line)} ended with {process.returncode}:\n{text}")
        return None

    def note_peak(self, process: "subprocess.Popen[str]") -> None:
        """Note the peak memory of a process in bytes, until it ends."""
        while process.poll() is None:
            self.peak = max(self.peak, peak_memory(process.pid))
            time.sleep(0.1)

    def note_answers(self) -> Learner:
        """Note what the learner says of the probes, and return it."""
        copy = self.scratch / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.state, copy)
        served = load_served(copy)
        assert served is not None
        labels = served.learner.predict(pixels([file.read_bytes() for file in self.probes]))
        names = [file.name for file in self.probes]
        self.expected[served.version] = dict(zip(names, labels, strict=True))
        return served.learner

    def state_bytes(self) -> int:
        """Return the bytes of the learner's folder."""
        return sum(file.stat().st_size for file in self.state.rglob("*") if file.is_file())


def peak_memory(pid: int) -> int:
    """Return the peak memory of a process in bytes; 0 if it has ended.

    The system's own figure for a child would include the memory of its parent before it started.
    """
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in status.splitlines() if "VmHWM" in line) * 1024


def pixels(contents: Sequence[bytes]) -> torch.Tensor:
    """Return photographs as N x 3 x SIDE x SIDE uint8."""
    images = [np.asarray(Image.open(BytesIO(c)).convert("RGB")) for c in contents]
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()


class Truth:
    """The names that test images have, as classes are merged and removed."""

    def __init__(self, year: Year) -> None:
        self.year, self.merged, self.removed = year, {}, set()  # type: ignore[var-annotated]

    def name(self, given: str) -> str | None:
        """Return today's name of a class; None if it was removed."""
        name = self.merged.get(given, given)
        return None if name in self.removed else name

    def tests(self, known: Sequence[str]) -> tuple[torch.Tensor, list[str]]:
        """Return the test images of the classes learned so far, and their names."""
        rows = [(self.name(name), content) for name, content in self.year.tests]
        kept = [(name, content) for name, content in rows if name in known]
        return pixels([content for _, content in kept]), [str(name) for name, _ in kept]

    def photographs(self, week: int) -> list[tuple[str, bytes]]:
        """Return the photographs of all weeks up to one, under today's names."""
        rows = [each for photographs in self.year.weeks[: week + 1] for each in photographs]
        named = [(self.name(name), content) for name, content in rows]
        return [(name, content) for name, content in named if name is not None]


def retrained(truth: Truth, week: int, learner: Learner) -> dict[str, float]:
    """Return the accuracy in percent and the seconds of a fit to all photographs so far."""
    backbone = learner.backbone
    assert backbone is not None
    rows = truth.photographs(week)
    features = backbone(pixels([content for _, content in rows])).numpy()
    start = time.perf_counter()
    model = LogisticRegression(C=0.1, max_iter=1000).fit(features, [name for name, _ in rows])
    seconds = time.perf_counter() - start
    images, names = truth.tests(learner.classes)
    right = np.mean(model.predict(backbone(images).numpy()) == np.array(names))
    return {"retrained": round(100 * float(right), 2), "fit_seconds": round(seconds, 2)}


def correct(keeper: Keeper, truth: Truth, week: int, folder: Path) -> list[str]:
    """Do what is due after a week: merge or remove classes, or forget photographs."""
    names = truth.year.names
    if week == MERGE:
        keeper.lord("class", "merge", keeper.state, names[1], names[0])
        truth.merged[names[1]] = names[0]
        return [f"'{names[1]}' became part of '{names[0]}'"]
    if week == REMOVE:
        keeper.lord("class", "remove", keeper.state, names[2])
        truth.removed.add(names[2])
        return [f"'{names[2]}' was removed"]
    if week == FORGET:
        files = sorted(folder.glob("*/*_0[0-9][0-9].jpg"))[:FORGOTTEN]
        keeper.lord("forget", keeper.state, *files)
        gone = {file.read_bytes() for file in files}
        for number, photographs in enumerate(truth.year.weeks):
            truth.year.weeks[number] = [each for each in photographs if each[1] not in gone]
        return [f"{len(files)} photographs were forgotten"]
    return []


def renamed(folder: Path, truth: Truth) -> None:
    """Give the classes in a week's folder today's names."""
    for each in sorted(folder.iterdir()):
        name = truth.name(each.name)
        if name is None:
            shutil.rmtree(each)
        elif name != each.name:
            (folder / name).mkdir(exist_ok=True)
            for file in each.iterdir():
                file.rename(folder / name / file.name)
            each.rmdir()


def live(
    keeper: Keeper, client: Client, truth: Truth, photographs: Path, weeks: int, seed: int
) -> Any:
    """Go through the weeks; yield what each left."""
    chance = random.Random(seed)
    kills = set(chance.sample(range(1, weeks), min(KILLS, weeks - 1)))
    for week in range(weeks):
        folder, events = photographs / f"week{week:02d}", []
        keeper.seconds, keeper.peak, old = 0.0, 0, week < OLD_WEEKS and keeper.older is not None
        later = ["--resize", SIDE] if old else ["--resize", SIDE, "--new-classes"]
        if week in WRONG:
            wrong = photographs / f"week{week:02d}-wrong"
            renamed(wrong, truth)
            keeper.lord("learn", wrong, "--state", keeper.state, *later)
            keeper.note_answers()
            keeper.lord("undo", keeper.state)
            keeper.note_answers()
            events.append("wrong names were learned and undone")
        renamed(folder, truth)
        if old:  # the older version refuses bad files
            for bad in folder.rglob("*_bad*"):
                bad.unlink()
        after = chance.uniform(1, 6) if week in kills else None
        keeper.lord("learn", folder, "--state", keeper.state, *later, kill_after=after, old=old)
        learner = keeper.note_answers()
        if done := correct(keeper, truth, week, folder):
            events += done
            learner = keeper.note_answers()
        images, names = truth.tests(learner.classes)
        row: dict[str, Any] = {"week": week, "classes": len(set(names)), "events": events}
        row["accuracy"] = round(learner.evaluate(images, names), 2)
        row |= {"seconds": round(keeper.seconds, 1), "state_bytes": keeper.state_bytes()}
        row |= {"peak_bytes": keeper.peak, "server_peak_bytes": 0}
        if client.server:
            row["server_peak_bytes"] = peak_memory(client.server.pid)
        if week % EVERY == EVERY - 1:
            row |= retrained(truth, week, learner)
        print(row, flush=True)
        yield row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiny", type=Path, required=True, help="folder of parquet files")
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--older", help="commit of the version that learns the first weeks")
    parser.add_argument("--weeks", type=int, default=WEEKS)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        os.environ["LORD_CACHE"] = str(scratch / "cache")
        older = None
        if arguments.older:
            archive = subprocess.run(
                ["git", "archive", arguments.older, "src"], check=True, stdout=subprocess.PIPE
            )
            subprocess.run(["tar", "-x", "-C", scratch], input=archive.stdout, check=True)
            older = scratch / "src"
        year = make_year(scratch / "photographs", arguments.tiny, arguments.seed, arguments.weeks)
        probes = sorted((scratch / "photographs" / "test").rglob("*.jpg"))[:: 1000 // PROBES]
        keeper, truth = Keeper(scratch, older, probes), Truth(year)
        with Client(keeper.state, probes) as client:
            place, weeks, seed = scratch / "photographs", arguments.weeks, arguments.seed
            rows = list(live(keeper, client, truth, place, weeks, seed))
        result = {"command": shlex.join(["python", *sys.argv]), "environment": environment()}
        result |= {"bad_files": year.bad, "copies": year.copies, "kills": keeper.killed}
        result |= {"client": client.checked(keeper.expected), "weeks": rows}
        arguments.out.mkdir(parents=True, exist_ok=True)
        file = arguments.out / f"year-seed{seed}.json"
        write_text(file, json.dumps(result, indent=1) + "\n")
        print(result["client"])


if __name__ == "__main__":
    main()
