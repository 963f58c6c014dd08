"""Batch-norm of few channels on one thread and on two.

GOMP_SPINCOUNT=1000 python benchmarks/batch_norm.py --out results/speed/batch_norm.json
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import torch
import torch.nn.functional as F

from lord.training.folder import environment

ROUNDS = 60


def milliseconds(act):
    spent = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        act()
        spent.append(time.perf_counter() - start)
    return round(1e3 * statistics.median(spent[5:]), 3)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows = []
    for channels in (4, 8, 12, 16, 24, 32, 64):
        shape = (32, channels, 32, 32)
        images = torch.randn(shape).to(memory_format=torch.channels_last).requires_grad_()
        weight, bias = torch.ones(channels), torch.zeros(channels)
        row = {"channels": channels}
        for threads in (1, 2):
            torch.set_num_threads(threads)

            def forward(images=images, weight=weight, bias=bias):
                return F.batch_norm(images, None, None, weight, bias, training=True)

            out, given = forward(), torch.ones_like(images)

            def backward(out=out, images=images, given=given):
                torch.autograd.grad(out, images, given, retain_graph=True)

            row |= {
                f"forward ms, {threads}": milliseconds(forward),
                f"backward ms, {threads}": milliseconds(backward),
            }
        rows.append(row)
        print(row)
    if options.out:
        found = {"environment": environment(), "images": 32, "side": 32, "rows": rows}
        options.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
