"""Does a step slow down as tasks and buffer grow? Steps of the 5th and of the last of many tasks.

python benchmarks/growth_of_cost.py --data tiny-imagenet/ --out results/speed/growth.json
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import torch

from lord.costs import tensor_bytes
from lord.data import load_images
from lord.evaluation import score
from lord.methods import Batch
from lord.storage import write_text
from lord.streams import make_stream
from lord.training import compose, make_method
from lord.training.folder import environment

STEPS = 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--tasks", type=int, default=100)
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = [measured(name, size, options) for name in ("der++", "lord") for size in (200, 50_000)]
    for row in rows:
        print(row)
    if options.out:
        values = {"environment": environment(), "tasks": options.tasks, "rows": rows}
        write_text(options.out, json.dumps(values, indent=1) + "\n")


def measured(name, size, options):
    given = {"data": options.data, "resize": 32, "tasks": options.tasks, "width": options.width}
    config = compose(name, given | {"buffer": size}, preset="s-tinyimg")
    data = load_images(config.data)
    method, stream = make_method(
        config, data, make_stream(data, config.stream, 0), torch.device("cpu")
    )
    row = {"method": name, "buffer": size}
    # A student that grows is full-grown only after as many tasks as its ladder has levels.
    early = 5 if name == "der++" else 25
    for task in stream.train:
        method.begin_task(task)
        number = task.index + 1
        for _ in range(2):
            method.step(Batch(task.images[:32], task.labels[:32], torch.arange(32)))
        while len(method.buffer) < min(size, 500 * number):
            rows = torch.randint(len(task.labels), (500,))
            x, y = task.images[rows], task.labels[rows]
            method.buffer.offer(images=x, labels=y, logits=torch.zeros(500, 200))
        if number in (early, options.tasks):
            spent = []
            for step in range(STEPS):
                rows = torch.arange(32) + 32 * step
                start = time.perf_counter()
                method.step(Batch(task.images[rows], task.labels[rows], rows))
                spent.append(time.perf_counter() - start)
            row[f"ms, task {number}"] = round(1e3 * statistics.median(spent), 1)
            start = time.perf_counter()
            score(method.predict, stream.test[:number], 2 * number)
            row[f"evaluation s, {number} tasks"] = round(time.perf_counter() - start, 1)
            buffer = tensor_bytes(method.buffer.state_dict())
            row[f"buffer MB, task {number}"] = round(buffer / 1e6, 1)
            row[f"rest of state MB, task {number}"] = round(
                (tensor_bytes(method.state_dict()) - buffer) / 1e6, 2
            )
        method.end_task(task)
    return row


if __name__ == "__main__":
    main()
