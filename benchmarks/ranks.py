"""Compare the training time of one run on one process, on two, and on two threads.

    python benchmarks/ranks.py --data cifar10/ --out results/ranks/ranks.json

Times the training steps (`step_s` of the summary) three times each, in turns, and compares medians.
Each of the two processes has one thread.
"""

import argparse
import json
import shlex
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from lord.storage import write_text
from lord.training.folder import environment

RUN = (
    "-m lord run --preset s-cifar10 --subset 0.05 --stop-after 2 --validation 0.005 --epochs 1 "
    "--buffer 500 --quiet"
)
"""A run with few images to score, because scoring is not timed."""
WAYS = {
    "one process": "--threads 1",
    "two processes": "--threads 1",
    "one process, two threads": "--threads 2",
}

SIZES = ((16, "fp32", "er"), (16, "fp32", "lord"), (64, "bf16", "er"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder of CIFAR-10, in any layout")
    parser.add_argument("--out", type=Path, required=True, help="JSON file for the results")
    arguments = parser.parse_args()
    result: dict[str, object] = {}
    for width, precision, method in SIZES:
        run = f"--method {method} --width {width} --precision {precision}"
        times: dict[str, list[float]] = {way: [] for way in WAYS}
        for _ in range(3):
            for way in WAYS:
                times[way].append(seconds(arguments.data, way, run))
        medians = {way: round(statistics.median(values), 2) for way, values in times.items()}
        speedup = {way: round(medians["one process"] / s, 2) for way, s in medians.items()}
        result[run] = {"seconds": times, "medians": medians, "times as fast": speedup}
        print(run, speedup, flush=True)
    result["run"] = f"python {RUN}"
    result["command"] = shlex.join(["python", *sys.argv])
    result["environment"] = environment()
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    write_text(arguments.out, json.dumps(result, indent=1) + "\n")


def seconds(data: str, way: str, run: str) -> float:
    """Return a run's training seconds from its summary."""
    launch = "-m torch.distributed.run --standalone --nproc-per-node 2 " * (way == "two processes")
    with tempfile.TemporaryDirectory() as folder:
        command = shlex.split(f"{launch}{RUN} {WAYS[way]} {run}")
        out = ["--data", data, "--out", str(Path(folder) / "run")]
        subprocess.run([sys.executable, *command, *out], check=True, capture_output=True)
        return float(json.loads((Path(folder) / "run/summary.json").read_text())["step_s"])


if __name__ == "__main__":
    main()
