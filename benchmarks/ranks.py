"""One run on one process and on two, a thread each: steps a second.

    python benchmarks/ranks.py --data cifar10/ --out results/ranks/ranks.json

What is timed is training itself (`step_s` of the summary), in turns, three times each; the ratio of
medians is how much two processes gain. Two threads in one process are timed beside them.
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
"""Few images to score, since scoring is not what is timed."""
WAYS = {
    "one process": "--threads 1",
    "two processes": "--threads 1",
    "one process, two threads": "--threads 2",
}

SIZES = ((16, "fp32", "er"), (16, "fp32", "lord"), (64, "bf16", "er"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="CIFAR-10, any layout")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    result: dict[str, object] = {}
    for width, precision, method in SIZES:
        given = f"--method {method} --width {width} --precision {precision}"
        times: dict[str, list[float]] = {way: [] for way in WAYS}
        for _ in range(3):
            for way in WAYS:
                times[way].append(seconds(options.data, way, given))
        medians = {way: round(statistics.median(taken), 2) for way, taken in times.items()}
        alone = medians["one process"]
        gain = {way: round(alone / taken, 2) for way, taken in medians.items()}
        result[given] = {"seconds": times, "medians": medians, "times as fast": gain}
        print(given, gain, flush=True)
    told = {
        "run": f"python {RUN}",
        "command": shlex.join(["python", *sys.argv]),
        "environment": environment(),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_text(options.out, json.dumps(result | told, indent=1) + "\n")


def seconds(data: str, way: str, given: str) -> float:
    """Of training, as the run's summary has it."""
    launch = "-m torch.distributed.run --standalone --nproc-per-node 2 " * (way == "two processes")
    with tempfile.TemporaryDirectory() as folder:
        words = shlex.split(f"{launch}{RUN} {WAYS[way]} {given}")
        out = ["--data", data, "--out", str(Path(folder) / "run")]
        subprocess.run([sys.executable, *words, *out], check=True, capture_output=True)
        return float(json.loads((Path(folder) / "run/summary.json").read_text())["step_s"])


if __name__ == "__main__":
    main()
