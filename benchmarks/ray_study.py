"""Compare a study on a Ray cluster, with a worker killed, with the same study without Ray.

    python benchmarks/ray_study.py --out results/ray/study.json

The study has twelve runs on the digits, two at a time: first as local processes, then on a cluster
of two workers. Reports whether all summaries and weights are equal bit for bit, whether a finished
run ran again, and the overhead of Ray. It needs Linux, because it reads /proc.
"""

import argparse
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from lord.studies.engines.cluster import connected
from lord.training.folder import environment

STUDY = "compare --methods sgd,er,der++,lord --seeds 3 --width 8 --epochs 1 --threads 1 --jobs 2"
STUDY += " --checkpoint-every 1 --set lord.candidates=8"
COSTS = ("wall_s", "step_s", "search_s", "recompute_s", "eval_s", "images_per_s", "peak_bytes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="JSON file for the results")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        local = study(Path(folder) / "local", "")
        cluster = start_and_stop()
        killed = study(Path(folder) / "killed", "--engine ray", kill=True)
        reference = outcomes(Path(folder) / "local")
        killed["same"] = outcomes(Path(folder) / "killed") == reference
        result = {
            "study": f"lord {STUDY}",
            "runs": len(reference),
            "local": local,
            "seconds to start and stop a cluster": cluster,
            "ray, a worker killed": killed,
            "command": shlex.join(["python", *sys.argv]),
            "environment": environment(),
        }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


def start_and_stop() -> float:
    """Return the seconds it takes to start and stop a cluster."""
    start = time.perf_counter()
    with connected(None):
        pass
    return round(time.perf_counter() - start, 1)


def study(out: Path, options: str, *, kill: bool = False) -> dict[str, Any]:
    """Run the study. Return its seconds, those of its runs, and the effects of the kill."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "lord", *shlex.split(f"{STUDY} {options}"), "--out", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    events: dict[str, Any] = kill_a_worker(process.pid, out) if kill else {}
    output, error = process.communicate()
    if process.returncode:
        sys.exit(error)
    seconds = time.perf_counter() - start
    if kill:
        stamps = events.pop("stamps")
        events["finished before, run again"] = [
            name for name, stamp in stamps.items() if stamp != stamp_of(out / name)
        ]
        events["gone on from a checkpoint"] = [
            text.split(":")[0] for text in error.splitlines() if "from its last checkpoint" in text
        ]
    ends = [text for text in output.splitlines() if "Class-IL" in text and "-seed" in text]
    walls = [json.loads(file.read_text())["wall_s"] for file in out.glob("*/summary.json")]
    return {
        "seconds": round(seconds, 1),
        "ends reported": len(ends),
        "seconds within runs": round(sum(walls), 1),
        **events,
    }


def kill_a_worker(study: int, out: Path) -> dict[str, Any]:
    """Kill a worker once four runs are finished and its run has a checkpoint.

    Returns the number of finished runs, and when each was finished.
    """
    while True:
        done = list(out.glob("*/summary.json"))
        unfinished = [file.parent for file in out.glob("*/checkpoint.safetensors")]
        for worker in descendants(study) if len(done) >= 4 and unfinished else []:
            if "ray::" not in command_of(worker):
                continue
            runs = " ".join(command_of(child) for child in descendants(worker))
            if any(f"/{folder.name} " in f"{runs} " for folder in unfinished):
                stamps = {file.parent.name: stamp_of(file.parent) for file in done}
                os.kill(worker, signal.SIGKILL)
                return {"finished when the worker was killed": len(done), "stamps": stamps}
        time.sleep(0.05)


def stamp_of(folder: Path) -> int:
    """Return when a run's summary was last written."""
    return (folder / "summary.json").stat().st_mtime_ns


def descendants(pid: int) -> list[int]:
    """Return the processes started by a process, directly or not."""
    try:
        lists = [file.read_text() for file in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:
        return []
    children = [int(child) for text in lists for child in text.split()]
    return children + [other for child in children for other in descendants(child)]


def command_of(pid: int) -> str:
    """Return a process's command line; empty if it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def outcomes(folder: Path) -> dict[str, Any]:
    """Return each run's summary without times and memory, and its weights."""
    found = {}
    for file in folder.glob("*/summary.json"):
        record = json.loads(file.read_text())
        kept = {name: value for name, value in record.items() if name not in COSTS}
        found[file.parent.name] = kept, (file.parent / "model.safetensors").read_bytes()
    return found


if __name__ == "__main__":
    main()
