"""Time batch-norm with few channels on one thread and on two.

GOMP_SPINCOUNT=1000 python benchmarks/batch_norm.py --out results/speed/batch_norm.json
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F

from lord.storage import write_text
from lord.training.folder import environment

ROUNDS = 60
WARM_UP = 5
BATCH, SIDE = 32, 32


def milliseconds(call: Callable[[], object]) -> float:
    """Return the median time of a call, without the first few."""
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return round(1e3 * statistics.median(times[WARM_UP:]), 3)


def measure(channels: int) -> dict[str, float]:
    """Time the forward and the backward pass on one thread and on two."""
    images = torch.randn(BATCH, channels, SIDE, SIDE).to(memory_format=torch.channels_last)
    images.requires_grad_()
    weight, bias = torch.ones(channels), torch.zeros(channels)

    def forward() -> torch.Tensor:
        return F.batch_norm(images, None, None, weight, bias, training=True)

    row: dict[str, float] = {"channels": channels}
    for threads in (1, 2):
        torch.set_num_threads(threads)
        output, gradient = forward(), torch.ones_like(images)

        def backward(output: torch.Tensor = output, gradient: torch.Tensor = gradient) -> None:
            torch.autograd.grad(output, images, gradient, retain_graph=True)

        row[f"forward ms, {threads}"] = milliseconds(forward)
        row[f"backward ms, {threads}"] = milliseconds(backward)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="JSON file for the results")
    arguments = parser.parse_args()
    rows = []
    for channels in (4, 8, 12, 16, 24, 32, 64):
        rows.append(measure(channels))
        print(rows[-1])
    if arguments.out:
        result = {"environment": environment(), "images": BATCH, "side": SIDE, "rows": rows}
        write_text(arguments.out, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
