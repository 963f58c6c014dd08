"""Does torch.compile pay on this machine? A training step of the plain network, eager and compiled.

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = {}
    for precision in ("fp32", "bf16"):
        for compiled in (False, True):
            network = ResNet18(10, options.width).to(memory_format=torch.channels_last)
            run = torch.compile(network) if compiled else network
            optimizer = torch.optim.SGD(network.parameters(), lr=0.03, fused=True)
            x = torch.randn(32, 3, 32, 32).to(memory_format=torch.channels_last)
            y = torch.randint(10, (32,))

            def step(run=run, optimizer=optimizer, x=x, y=y, bf16=precision == "bf16"):
                with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                    loss = F.cross_entropy(run(x), y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()

            start = time.perf_counter()
            step()
            first = time.perf_counter() - start
            name = f"{precision} {'compiled' if compiled else 'eager'}"
            rows[name] = {"ms": 1e3 * median_seconds(step, CPU, 20), "first step s": first}
            print(name, {key: round(value, 1) for key, value in rows[name].items()}, flush=True)
    if options.out:
        values = {"environment": environment(), "about": vars(options) | {"out": None}}
        write_text(options.out, json.dumps(values | {"steps": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
