"""Does saved arithmetic save time? Steps of two methods through all growth levels, in one process.

Prints, for each task and in all, the share of the reference's FLOPs and of its seconds, and their
ratio: 1 where every FLOP saved is a second saved. Teacher searches are included, evaluation is
not. Run it on an otherwise idle machine:

    python benchmarks/realisation.py --data cifar10/ --steps 60 --threads 2
"""

import argparse
import json
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch

from lord.costs import FlopCount
from lord.data import load_images
from lord.methods import Batch, Method
from lord.streams import Task, make_stream
from lord.training import compose
from lord.training.folder import environment, write_text
from lord.training.run import make_method


@dataclass
class Spent:
    """Seconds and FLOPs of each task, teacher search apart."""

    steps: list[tuple[float, int]] = field(default_factory=list)
    search: list[tuple[float, int]] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--preset", default="s-cifar10")
    parser.add_argument("--methods", default="der++,lord", help="the reference first")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--steps", type=int, default=60, help="timed steps a task")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    names = options.methods.split(",")
    methods: dict[str, Method] = {}
    for name in names:
        given = {"data": options.data, "width": options.width, "subset": 0.2}
        config = compose(name, given, preset=options.preset)
        data = load_images(config.data)
        stream = make_stream(data, config.stream, 0)
        methods[name], stream = make_method(config, data, stream, torch.device("cpu"))
    spent = {name: Spent() for name in names}
    bf16 = options.precision == "bf16"
    with FlopCount() as count, torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        for task in stream.train:  # interleaved, so that both see the same machine
            for name in names:
                one_task(methods[name], task, options.steps, count, spent[name])
            print(f"task {task.index + 1}: {shares(spent, names, task.index)}", flush=True)
    result = {
        "about": vars(options) | {"out": None},
        "environment": environment(),
        "tasks": [shares(spent, names, task.index) for task in stream.train],
        "all": shares(spent, names, None),
        "all_but_search": shares(spent, names, None, search=False),
        "spent": {name: vars(each) for name, each in spent.items()},
    }
    print("all:", result["all"])
    print("all but search:", result["all_but_search"])
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        write_text(options.out, json.dumps(result, indent=1) + "\n")


def one_task(method: Method, task: Task, steps: int, count: FlopCount, spent: Spent) -> None:
    spent.search.append(timed(count, lambda: method.begin_task(task)))
    rows = torch.randperm(len(task.labels), generator=torch.Generator().manual_seed(task.index))
    batches = [rows[i * 32 : i * 32 + 32] for i in range(len(rows) // 32)]

    def step(number: int) -> None:
        chosen = batches[number % len(batches)]
        method.step(Batch(task.images[chosen], task.labels[chosen]))

    for number in range(3):  # warm up: kernels for new shapes are prepared once
        step(number)
    spent.steps.append(timed(count, lambda: [step(number) for number in range(3, steps + 3)]))


def timed(count: FlopCount, work) -> tuple[float, int]:
    start, before = time.perf_counter(), count.total
    work()
    return time.perf_counter() - start, count.total - before


def shares(
    spent: dict[str, Spent], names: list[str], task: int | None, *, search: bool = True
) -> dict[str, float]:
    """The last method's FLOPs and seconds as shares of the reference's, in one task or in all."""

    def total(name: str, place: int) -> float:
        pairs = zip(spent[name].steps, spent[name].search, strict=True)
        each = [step[place] + search * searched[place] for step, searched in pairs]
        return sum(each) if task is None else each[task]

    flops, seconds = (total(names[-1], p) / total(names[0], p) for p in (1, 0))
    return {
        "flops": round(flops, 4),
        "seconds": round(seconds, 4),
        "ratio": round(seconds / flops, 4),
        "gflop_per_s": round(total(names[-1], 1) / total(names[-1], 0) / 1e9, 1),
        "gflop_per_s_reference": round(total(names[0], 1) / total(names[0], 0) / 1e9, 1),
    }


if __name__ == "__main__":
    main()
