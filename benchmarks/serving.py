"""Compare ``lord serve`` with a loop around onnxruntime on the same pictures.

    python benchmarks/serving.py --state memory --images photos/test --out results/serving

Both get the bytes of pictures from memory, decode and resize them, and return the class of each.
The loop runs in a process of its own, one picture at a time. The server is asked over connections
that stay open. Server, loop and clients share the machine.
"""

import argparse
import http.client
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

CLIENTS = {"1 client": (1, 1), "8 clients": (8, 1), "1 client, 16 images": (1, 16)}
"""Name -> connections at a time, and pictures in a request."""
PICTURES = 200


def pictures(folder: Path) -> list[bytes]:
    """Return the bytes of pictures of all classes in turn."""
    files = sorted(folder.rglob("*.*"))
    step = max(len(files) // PICTURES, 1)
    return [file.read_bytes() for file in files[::step]][:PICTURES]


def figures(seconds: list[float], images: int, wall: float) -> dict[str, float]:
    """Return throughput, and latencies in milliseconds."""
    p50, p99 = (1e3 * float(np.percentile(seconds, q)) for q in (50, 99))
    return {"images a second": images / wall, "p50 ms": p50, "p99 ms": p99}


def loop(model: Path, folder: Path, side: int, threads: int, seconds: float) -> dict[str, Any]:
    """Measure the bare loop. It runs in a process of its own, without PyTorch."""
    import onnxruntime  # noqa: PLC0415 (the clients do not need it)
    from PIL import Image  # noqa: PLC0415 (the clients do not need it)

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    content, times, labels = pictures(folder), [], {}
    start = time.perf_counter()
    while time.perf_counter() - start < seconds or len(times) < len(content):
        place = len(times) % len(content)
        before = time.perf_counter()
        image = Image.open(io.BytesIO(content[place])).convert("RGB")
        pixels = np.asarray(image.resize((side, side), Image.Resampling.BILINEAR))
        found = session.run(None, {"images": pixels.transpose(2, 0, 1)[None].copy()})[0]
        labels[place] = int(found[0].argmax())
        times.append(time.perf_counter() - before)
    wall = time.perf_counter() - start
    return {**figures(times[5:], len(times), wall), "labels": labels}


class Load(threading.Thread):
    """Asks a server over one connection until it is told to stop."""

    def __init__(self, port: int, content: list[bytes], each: int, offset: int) -> None:
        super().__init__()
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.content, self.each, self.place = content, each, offset
        self.times: list[float] = []
        self.statuses: dict[int, int] = {}
        self.labels: dict[int, str] = {}
        self.done = False

    def run(self) -> None:
        while not self.done:
            places = [(self.place + n) % len(self.content) for n in range(self.each)]
            self.place += self.each
            start = time.perf_counter()
            status, rows = self.ask([self.content[place] for place in places])
            self.times.append(time.perf_counter() - start)
            self.statuses[status] = self.statuses.get(status, 0) + 1
            for place, row in zip(places, rows, strict=True):
                self.labels[place] = row["label"]

    def ask(self, images: list[bytes]) -> tuple[int, list[dict[str, Any]]]:
        """Send a request, and return the status and the row of each image."""
        kind, body = "application/octet-stream", images[0]
        if len(images) > 1:
            head = b"--x\r\nContent-Disposition: form-data; name=i; filename=i\r\n\r\n"
            body = b"".join(head + each + b"\r\n" for each in images) + b"--x--\r\n"
            kind = "multipart/form-data; boundary=x"
        self.connection.request("POST", "/predict", body, {"Content-Type": kind})
        answer = self.connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text)["images"] if answer.status == 200 else []


def serve(state: Path, threads: int, most: int) -> None:
    """Run the server with batches of some images at most."""
    from lord.serving import app, batches  # noqa: PLC0415 (the loop runs without PyTorch)
    from lord.serving.limits import Limits  # noqa: PLC0415 (the loop runs without PyTorch)
    from lord.serving.server import serve as run  # noqa: PLC0415 (the loop runs without PyTorch)

    app.Batches = partial(batches.Batches, most=most)  # type: ignore[assignment, misc]
    run(
        state, port=0, threads=threads, limits=Limits(), report=lambda text: print(text, flush=True)
    )


def started(state: Path, threads: int, most: int) -> tuple["subprocess.Popen[str]", int]:
    """Start a server in a process of its own, and return it with its port."""
    words = [sys.executable, __file__, "--server", f"{threads},{most}", "--state", str(state)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    for line in process.stdout:
        if found := re.match(r"listening at http://127.0.0.1:(\d+)", line):
            return process, int(found[1])
    raise RuntimeError("the server did not start")


def measure_server(
    state: Path, content: list[bytes], threads: int, most: int, seconds: float
) -> tuple[dict[str, Any], dict[int, str]]:
    """Measure the server under each load."""
    process, port = started(state, threads, most)
    rows: dict[str, Any] = {}
    labels: dict[int, str] = {}
    try:
        for name, (count, each) in CLIENTS.items():
            loads = [Load(port, content, each, 7 * number) for number in range(count)]
            loads[0].ask(content[:1])
            start = time.perf_counter()
            for load in loads:
                load.start()
            time.sleep(seconds)
            for load in loads:
                load.done = True
            for load in loads:
                load.join()
            wall = time.perf_counter() - start
            times = [each for load in loads for each in load.times]
            rows[name] = figures(times, each * len(times), wall)
            rows[name]["statuses"] = {
                status: sum(load.statuses.get(status, 0) for load in loads)
                for status in {status for load in loads for status in load.statuses}
            }
            for load in loads:
                labels |= load.labels
    finally:
        process.terminate()
        process.wait()
    return rows, labels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--state", type=Path, required=True, help="folder of a learner")
    parser.add_argument("--images", type=Path, help="folder of pictures by class")
    parser.add_argument("--out", type=Path, help="folder for the results")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of a measurement")
    parser.add_argument("--server", help=argparse.SUPPRESS)
    parser.add_argument("--loop", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.server:
        serve(arguments.state, *map(int, arguments.server.split(",")))
        return
    if arguments.loop:
        model, side, threads = arguments.loop.rsplit(",", 2)
        found = loop(Path(model), arguments.images, int(side), int(threads), arguments.seconds)
        print(json.dumps(found))
        return
    write(arguments)


def measured_loop(arguments: argparse.Namespace, model: Path, side: int, threads: int) -> Any:
    """Run the loop in a process of its own."""
    words = [sys.executable, __file__, "--loop", f"{model},{side},{threads}", "--state", "."]
    words += ["--images", str(arguments.images), "--seconds", str(arguments.seconds)]
    return json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


def write(arguments: argparse.Namespace) -> None:
    """Measure everything, and write it."""
    from lord.learner import Deployed, Learner, export_onnx  # noqa: PLC0415 (the loop runs without PyTorch)
    from lord.methods import deployable  # noqa: PLC0415 (the loop runs without PyTorch)
    from lord.storage import write_json  # noqa: PLC0415 (the loop runs without PyTorch)

    learner = Learner.load(arguments.state)
    assert learner.method
    assert learner.shape
    content = pictures(arguments.images)
    rows: dict[str, Any] = {}
    agree = []
    with tempfile.TemporaryDirectory() as scratch:
        model = Path(scratch) / "model.onnx"
        images = learner.held_out.columns["images"][:8]
        export_onnx(Deployed(deployable(learner.method)), learner.classes, images, model)
        for threads in (1, 2):
            bare = measured_loop(arguments, model, learner.shape[1], threads)
            plain = {int(n): learner.classes[label] for n, label in bare.pop("labels").items()}
            row: dict[str, Any] = {"loop": bare}
            for name, most in (("serve", 64), ("serve, one request a batch", 1)):
                row[name], labels = measure_server(
                    arguments.state, content, threads, most, arguments.seconds
                )
                agree += [plain[n] == label for n, label in labels.items()]
            after = measured_loop(arguments, model, learner.shape[1], threads)
            row["loop again"] = {n: v for n, v in after.items() if n != "labels"}
            rows[f"{threads} threads"] = row
    found = {
        "pictures": len(content),
        "side": learner.shape[1],
        "method": learner.config.method,
        "same class": float(np.mean(agree)),
        "load of the machine before": LOAD,
        "load of the machine after": os.getloadavg(),
        "results": rows,
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    write_json(arguments.out / "serving.json", found)
    print(json.dumps(found, indent=1))


LOAD = os.getloadavg()

if __name__ == "__main__":
    main()
