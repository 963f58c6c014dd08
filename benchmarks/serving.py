"""Compare ``lord serve`` with a loop around onnxruntime on the same pictures.

    python benchmarks/serving.py --state memory --images photos/test --out results/serving

Both get the bytes of pictures from memory, decode and resize them, and return the class of each.
The loop runs in a separate process, one picture at a time. The server is asked over connections
that stay open. Server, loop and clients share the machine, and what else runs on it slows all of
them. So they take turns, round after round, and the figures to read are their ratios.
"""

import argparse
import http.client
import io
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

PICTURES = 200
LOADS = {"1 client": (64, 1, 1), "8 clients": (64, 8, 1), "16 images at a time": (64, 1, 16)}
LOADS |= {"8 clients, one request a batch": (1, 8, 1)}
"""Name -> images of a batch at most, connections at a time, and pictures in a request."""
ROUNDS, SECONDS = 3, 1.5
"""Turns, and length of each measurement."""
Figures = dict[str, float]


def pictures(folder: Path) -> list[bytes]:
    """Return the bytes of pictures of all classes in turn."""
    files = sorted(folder.rglob("*.*"))
    step = max(len(files) // PICTURES, 1)
    return [file.read_bytes() for file in files[::step]][:PICTURES]


def figures(seconds: list[float], images: int, wall: float) -> Figures:
    """Return throughput, and latencies in milliseconds."""
    p50, p99 = (1e3 * float(np.percentile(seconds, q)) for q in (50, 99))
    return {"images a second": images / wall, "p50 ms": p50, "p99 ms": p99}


def run_loop(model: Path, folder: Path, side: int, threads: int) -> None:
    """Measure the bare loop once for each line of the standard input."""
    import onnxruntime  # noqa: PLC0415 (the clients do not need it)
    from PIL import Image  # noqa: PLC0415

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    content = pictures(folder)
    labels: dict[int, int] = {}
    for _ in sys.stdin:
        times: list[float] = []
        start = time.perf_counter()
        while time.perf_counter() - start < SECONDS:
            place = len(labels) % len(content) if len(labels) < len(content) else len(times)
            before = time.perf_counter()
            image = Image.open(io.BytesIO(content[place % len(content)])).convert("RGB")
            pixels = np.asarray(image.resize((side, side), Image.Resampling.BILINEAR))
            found = session.run(None, {"images": pixels.transpose(2, 0, 1)[None].copy()})[0]
            labels[place % len(content)] = int(found[0].argmax())
            times.append(time.perf_counter() - before)
        measured = figures(times, len(times), time.perf_counter() - start)
        print(json.dumps({"figures": measured, "labels": labels}), flush=True)


def run_server(state: Path, threads: int, most: int) -> None:
    """Run the server with batches of some images at most."""
    from lord.serving import app, batches  # noqa: PLC0415 (the loop runs without PyTorch)
    from lord.serving.limits import Limits  # noqa: PLC0415
    from lord.serving.server import serve  # noqa: PLC0415

    app.Batches = partial(batches.Batches, most=most)  # type: ignore[assignment, misc]
    report = partial(print, flush=True)
    serve(state, port=0, threads=threads, limits=Limits(), report=report)


class Client(threading.Thread):
    """Asks a server over one connection until it is told to stop."""

    def __init__(self, port: int, content: list[bytes], each: int, offset: int) -> None:
        super().__init__()
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.content, self.each, self.place = content, each, offset
        self.times: list[float] = []
        self.labels: dict[int, str] = {}
        self.done = False

    def run(self) -> None:
        while not self.done:
            places = [(self.place + n) % len(self.content) for n in range(self.each)]
            self.place += self.each
            start = time.perf_counter()
            rows = self.ask([self.content[place] for place in places])
            self.times.append(time.perf_counter() - start)
            for place, row in zip(places, rows, strict=True):
                self.labels[place] = row["label"]

    def ask(self, images: list[bytes]) -> list[dict[str, Any]]:
        """Send a request, and return the row of each image."""
        kind, body = "application/octet-stream", images[0]
        if len(images) > 1:
            head = b"--x\r\nContent-Disposition: form-data; name=i; filename=i\r\n\r\n"
            body = b"".join(head + each + b"\r\n" for each in images) + b"--x--\r\n"
            kind = "multipart/form-data; boundary=x"
        self.connection.request("POST", "/predict", body, {"Content-Type": kind})
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"status {answer.status}: {text[:200]!r}")
        rows: list[dict[str, Any]] = json.loads(text)["images"]
        return rows


class Contest:
    """The loop and the servers for a number of threads, which take turns.

    Args:
        arguments: state and pictures.
        model: the learner as an ONNX file.
        side: side of its images in pixels.
        threads: CPU threads of each.
    """

    def __init__(self, arguments: argparse.Namespace, model: Path, side: int, threads: int) -> None:
        self.content = pictures(arguments.images)
        common = ["--state", str(arguments.state), "--images", str(arguments.images)]
        self.loop = started(["--loop", f"{model},{side},{threads}", *common])
        self.servers: dict[int, subprocess.Popen[str]] = {}
        self.ports: dict[int, int] = {}
        for most in {most for most, _, _ in LOADS.values()}:
            self.servers[most] = server = started(["--server", f"{threads},{most}", *common])
            assert server.stdout
            for line in server.stdout:
                if found := re.match(r"listening at http://127.0.0.1:(\d+)", line):
                    self.ports[most] = int(found[1])
                    break
        self.labels: dict[int, set[str]] = {}
        self.numbers: dict[int, int] = {}

    def round(self) -> dict[str, Figures]:
        """Measure each of them once."""
        found = {"loop": self._measure_loop()}
        return found | {name: self._measure_server(*load) for name, load in LOADS.items()}

    def _measure_loop(self) -> Figures:
        assert self.loop.stdin
        assert self.loop.stdout
        self.loop.stdin.write("go\n")
        self.loop.stdin.flush()
        answer = json.loads(self.loop.stdout.readline())
        self.numbers = {int(place): number for place, number in answer["labels"].items()}
        measured: Figures = answer["figures"]
        return measured

    def _measure_server(self, most: int, count: int, each: int) -> Figures:
        clients = [Client(self.ports[most], self.content, each, 7 * n) for n in range(count)]
        start = time.perf_counter()
        for client in clients:
            client.start()
        time.sleep(SECONDS)
        for client in clients:
            client.done = True
        for client in clients:
            client.join()
            client.connection.close()
            for place, label in client.labels.items():
                self.labels.setdefault(place, set()).add(label)
        times = [seconds for client in clients for seconds in client.times]
        return figures(times, each * len(times), time.perf_counter() - start)

    def disagreements(self, classes: list[str]) -> tuple[int, int]:
        """Return on how many pictures loop and server differ, and of how many."""
        both = self.numbers.keys() & self.labels.keys()
        return sum(self.labels[n] != {classes[self.numbers[n]]} for n in both), len(both)

    def stop(self) -> None:
        """End all processes."""
        for process in (self.loop, *self.servers.values()):
            process.terminate()
            process.communicate()


def started(words: list[str]) -> "subprocess.Popen[str]":
    """Start this file in a separate process."""
    command = [sys.executable, __file__, *words]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def summary(rounds: list[dict[str, Figures]]) -> dict[str, Figures]:
    """Return medians over rounds, with the throughput as a multiple of the loop's."""
    rows: dict[str, Figures] = {}
    for name in rounds[0]:
        rows[name] = {
            figure: round(float(np.median([each[name][figure] for each in rounds])), 1)
            for figure in rounds[0][name]
        }
        shares = [e[name]["images a second"] / e["loop"]["images a second"] for e in rounds]
        rows[name]["times the loop"] = round(float(np.median(shares)), 2)
    return rows


def measure(arguments: argparse.Namespace) -> None:
    """Measure everything, and write it."""
    from lord.learner import Deployed, Learner, export_onnx  # noqa: PLC0415
    from lord.methods import deployable  # noqa: PLC0415
    from lord.storage import write_json  # noqa: PLC0415

    load = os.getloadavg()
    learner = Learner.load(arguments.state)
    assert learner.method
    assert learner.shape
    rows, differ = {}, [0, 0]
    with tempfile.TemporaryDirectory() as scratch:
        model = Path(scratch) / "model.onnx"
        images = learner.held_out.columns["images"][:8]
        export_onnx(Deployed(deployable(learner.method)), learner.classes, images, model)
        for threads in (1, 2):
            contest = Contest(arguments, model, learner.shape[1], threads)
            rounds = [contest.round() for _ in range(ROUNDS + 1)][1:]  # the first warms up
            rows[f"threads: {threads}"] = {"medians": summary(rounds), "rounds": rounds}
            differ = [a + b for a, b in zip(differ, contest.disagreements(learner.classes))]  # noqa: B905
            contest.stop()
    found = {
        "learner": f"{learner.config.method}, {learner.shape[1]} px",
        "cores": os.cpu_count(),
        "processes that wanted a core before": load[0],
        "pictures on which loop and server differ": f"{differ[0]} of {differ[1]}",
        "results": rows,
        "command": shlex.join(["python", *sys.argv]),
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    write_json(arguments.out / "serving.json", found)
    print(json.dumps({name: row["medians"] for name, row in rows.items()}, indent=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--state", type=Path, required=True, help="folder of a learner")
    parser.add_argument("--images", type=Path, required=True, help="folder of pictures by class")
    parser.add_argument("--out", type=Path, help="folder for the results")
    parser.add_argument("--server", help=argparse.SUPPRESS)
    parser.add_argument("--loop", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.server:
        run_server(arguments.state, *map(int, arguments.server.split(",")))
    elif arguments.loop:
        model, side, threads = arguments.loop.rsplit(",", 2)
        run_loop(Path(model), arguments.images, int(side), int(threads))
    else:
        measure(arguments)


if __name__ == "__main__":
    main()
