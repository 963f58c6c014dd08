"""Time a training step of the plain network with and without torch.compile.

python benchmarks/compiled.py --out results/speed/compiled.json
"""

import argparse
import json
import time
from pathlib import Path

import torch
import torch.nn.functional as F

from lord.bench import median_seconds
from lord.networks import ResNet18
from lord.storage import write_text
from lord.training.folder import environment

CPU = torch.device("cpu")


def measure(width: int, *, bf16: bool, compiled: bool) -> dict[str, float]:
    """Return the median milliseconds of a step, and the seconds of the first step."""
    network = ResNet18(10, width).to(memory_format=torch.channels_last)
    forward = torch.compile(network) if compiled else network
    optimizer = torch.optim.SGD(network.parameters(), lr=0.03, fused=True)
    images = torch.randn(32, 3, 32, 32).to(memory_format=torch.channels_last)
    labels = torch.randint(10, (32,))

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = F.cross_entropy(forward(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    start = time.perf_counter()
    step()  # compiles
    first = time.perf_counter() - start
    return {"ms": 1e3 * median_seconds(step, CPU, 20), "first step s": first}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=16, help="channels of the first layer")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="JSON file for the results")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rows = {}
    for precision in ("fp32", "bf16"):
        for compiled in (False, True):
            row = measure(arguments.width, bf16=precision == "bf16", compiled=compiled)
            name = f"{precision} {'compiled' if compiled else 'eager'}"
            rows[name] = row
            print(name, {key: round(value, 1) for key, value in row.items()}, flush=True)
    if arguments.out:
        about = vars(arguments) | {"out": None}
        result = {"environment": environment(), "about": about, "steps": rows}
        write_text(arguments.out, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
