"""Check that two commits of this repository give bit-identical results.

    python benchmarks/same_results.py aa721dc HEAD --data cifar10/

Three parts run in both commits: every method on the digits, five methods on 2 % of CIFAR-10, and a
learner that learns three folders of images. Results are compared bit by bit, without timings and
memory. The exit code is 1 if anything differs. You can give a folder that holds `src` in place of
a commit.
"""

import argparse
import contextlib
import importlib
import json
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from safetensors.numpy import load_file, save_file

ON_CIFAR10 = ("lord", "lord+", "der++", "er-ace", "cls-er")
CHEAP = "--epochs 1 --width 8 --threads 1 --seed 0 --quiet"
FIRST = "--width 8 --resize 16 --epochs 2 --seed 0"
"""Settings of the first session."""
CHEAPER = {"lord": "--set candidates=8", "gdumb": "--set passes=8"}
SESSIONS = ("ant bee", "ant cat", "bee dog")
"""Classes of the images that arrive in each session."""
FILES = {
    "learner": ("predictions.jsonl", "student.safetensors", "buffer.safetensors"),
    "run": ("summary.json", "accuracy.json", "model.safetensors"),
}
TIMINGS = {"wall_s", "step_s", "search_s", "recompute_s", "eval_s", "images_per_s", "peak_bytes"}
ALLOWED = ("settings.", "label", "variant")
"""Fields that summary.json may have in only one commit, by the start of their names."""


@contextlib.contextmanager
def checked_out(commit: str, folder: Path) -> Iterator[Path]:
    """Make a worktree of the commit at ``folder``. If ``commit`` is a folder, return it."""
    if (Path(commit) / "src").is_dir():
        yield Path(commit).resolve()
        return
    git = ["git", "-C", str(Path(__file__).parents[1]), "worktree"]
    subprocess.run([*git, "add", "--quiet", "--detach", folder, commit], check=True)
    try:
        yield folder
    finally:
        subprocess.run([*git, "remove", "--force", folder], check=True)


def import_from(tree: Path, module: str) -> Any:
    """Import a module of ``lord`` from ``tree``. Call this in a new process."""
    sys.path.insert(0, str(tree / "src"))
    os.environ["OMP_NUM_THREADS"] = "1"
    found = importlib.import_module(module)
    assert Path(str(found.__file__)).is_relative_to(tree), found.__file__
    return found


def method_names(tree: Path) -> list[str]:
    return list(import_from(tree, "lord.methods").METHODS)


def call(*words: object) -> None:
    """Run a ``lord`` command in this process. It prints an error; then results are missing."""
    sys.argv = ["lord", *map(str, words)]
    try:
        runpy.run_module("lord", run_name="__main__")
    except SystemExit:
        pass
    except Exception:
        traceback.print_exc()


def run_all(tree: Path, out: Path, runs: list[str], data: str | None) -> None:
    """Run the names in ``runs``, such as `digits/er`, with the package in ``tree``."""
    os.environ["LORD_CACHE"] = str(out / "cache")
    lord = import_from(tree, "lord")
    streams = {"digits": (), "cifar10": ("--preset", "s-cifar10", "--data", data, "--subset", 0.02)}
    for part, _, method in (run.partition("/") for run in runs):
        if part == "learner":
            run_learner(lord, out / part)
        else:
            settings = f"{CHEAP} {CHEAPER.get(method, '')}".split()
            call("run", "--method", method, *streams[part], *settings, "--out", out / part / method)


def run_learner(lord: Any, out: Path) -> None:
    """Learn the sessions, predict new images, and write the learner's tensors."""
    for number, classes in enumerate(SESSIONS):
        draw_images(out / f"session{number}", classes, number)
        settings = FIRST.split() if number == 0 else ()
        call("learn", out / f"session{number}", "--state", out / "state", *settings)
    draw_images(out / "new", "ant bee cat dog", 9)
    with (out / "predictions.jsonl").open("w") as file, contextlib.redirect_stdout(file):
        call("predict", out / "state", *sorted((out / "new").glob("*/*.png")), "--json")
    loaded = lord.Learner.load(out / "state")
    method = (loaded[0] if isinstance(loaded, tuple) else loaded).method
    held = {"student": method.predictor.state_dict(), "buffer": method.buffer.columns}
    for name, tensors in held.items():
        arrays = {key: np.ascontiguousarray(tensor) for key, tensor in tensors.items()}
        save_file(arrays, out / f"{name}.safetensors")


def draw_images(folder: Path, classes: str, seed: int) -> None:
    """Write 24 noisy colour images of each class, with a folder for each class."""
    source = np.random.default_rng(seed)
    for name in classes.split():
        (folder / name).mkdir(parents=True)
        colour = np.frombuffer(name.encode(), np.uint8).astype(int) * 7 % 200
        for number in range(24):
            pixels = (colour + source.integers(0, 56, (16, 16, 3))).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")


def flat(value: Any, name: str = "") -> dict[str, Any]:
    """Return the leaves of nested dictionaries by dotted name. Lists are leaves."""
    if not isinstance(value, dict):
        return {name: value}
    parts = (flat(each, f"{name}.{key}" if name else key) for key, each in value.items())
    return {key: leaf for part in parts for key, leaf in part.items()}


def read(file: Path) -> dict[str, Any]:
    """Return the content of a file by name; a tensor as its type, shape and bytes."""
    if file.suffix == ".safetensors":
        return {k: (str(t.dtype), t.shape, t.tobytes()) for k, t in load_file(file).items()}
    if file.suffix == ".json":
        return {k: v for k, v in flat(json.loads(file.read_text())).items() if k not in TIMINGS}
    rows = map(json.loads, file.read_text().splitlines())
    return {row["file"].partition("/learner/")[2]: {**row, "file": None} for row in rows}


def difference(base: Path, head: Path, one_sided: set[str]) -> str:
    """Name the first field in which two files differ; empty if they are equal.

    Args:
        one_sided: takes the allowed fields that only one file has.
    """
    missing = [name for file, name in ((base, "base"), (head, "head")) if not file.exists()]
    if missing:
        return f"no such file in {' and '.join(missing)}"
    one, other = read(base), read(head)
    for name in sorted(one.keys() | other.keys()) or ["empty"]:
        only = "base" if name not in other else "head" if name not in one else ""
        if only and base.name == "summary.json" and name.startswith(ALLOWED):
            one_sided.add(f"{name} ({only})")
        elif only or one[name] != other[name]:
            return f"{name} (in {only} only)" if only else name
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("base", help="commit or folder")
    parser.add_argument("head", nargs="?", default="HEAD", help="commit or folder")
    parser.add_argument("--data", type=Path, help="CIFAR-10; without it, that part is skipped")
    parser.add_argument("--only", default="", help="start of the names of runs, like digits/er")
    options = parser.parse_args()
    data = str(options.data.resolve()) if options.data else None
    spawn = multiprocessing.get_context("spawn")
    differing, one_sided = 0, set[str]()
    with contextlib.ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        trees = [
            stack.enter_context(checked_out(commit, scratch / f"tree{number}"))
            for number, commit in enumerate((options.base, options.head))
        ]
        pool = stack.enter_context(ProcessPoolExecutor(2, spawn, max_tasks_per_child=1))
        runs = [f"digits/{name}" for name in pool.submit(method_names, trees[0]).result()]
        runs += [f"cifar10/{name}" for name in ON_CIFAR10 if data] + ["learner"]
        runs = [run for run in runs if run.startswith(options.only)]
        outs = [scratch / "base", scratch / "head"]
        list(pool.map(run_all, trees, outs, [runs] * 2, [data] * 2))
        for run in runs:
            for file in FILES.get(run, FILES["run"]):
                found = difference(outs[0] / run / file, outs[1] / run / file, one_sided)
                differing += bool(found)
                print(f"{run}/{file}".ljust(36), f"DIFFERENT: {found}" if found else "same")
    print("Allowed fields in one commit only:", ", ".join(sorted(one_sided)) or "none")
    print(f"{differing} files differ." if differing else "All results are the same.")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
