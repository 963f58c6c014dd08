"""Compare rules for the growth of `lord+` on streams of 2 to 20 tasks, and in a learner.

    python benchmarks/pace_rule.py --tiny tiny-imagenet/ --cifar10 cifar10/ --out results/pace-rule

The streams have the first 40 classes of Tiny-ImageNet at 16 x 16. The learner learns CIFAR-10 at
16 x 16, or digits, in five sessions of two new classes. Seeds decide the order of the classes.
Results are written after each run, and the same command continues.
"""

import argparse
import json
import shlex
import statistics
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import torch

from lord.channels import trace
from lord.data import DataConfig, ImageData, load_images
from lord.learner import Learner
from lord.networks import NetworkConfig, first_network
from lord.storage import write_text
from lord.student import Ladder
from lord.training import compose, run
from lord.training.folder import environment

LENGTHS = (2, 3, 5, 8, 10, 20)
CLASSES = 40
RULES = {
    "auto": "lord+",
    "no growth": "lord+:growth=none",
    "paper's": "lord+:pace=none",
    "pace 2": "lord+:pace=2",
}
"""Name of a rule -> variant. The default of ``lord+`` was a pace of 2 before."""
SETTINGS = {
    "resize": 16,
    "subset": 0.2,
    "width": 16,
    "epochs": 2,
    "buffer": 500,
    "threads": 1,
}
SESSIONS = 5
IMAGES = 100
"""Images of a class in a learner's session."""
LEARNERS: dict[str, dict[str, object]] = {
    "auto": {},
    "no growth": {"growth": "none"},
    "pace 2": {"pace": 2},
}
Row = dict[str, str | int | float]


def order(classes: int, seed: int) -> list[int]:
    """Return the classes in an order that depends on the seed."""
    return torch.randperm(classes, generator=torch.Generator().manual_seed(seed)).tolist()


def split(tasks: int, seed: int) -> list[list[int]]:
    """Return the classes of each task. Their numbers differ by at most one."""
    ends = [round(CLASSES * task / tasks) for task in range(tasks + 1)]
    return [order(CLASSES, seed)[start:end] for start, end in pairwise(ends)]


def level_of(parameters: int, data: str) -> int:
    """Return the level of a student on the stream by its number of parameters."""
    shape = load_images(DataConfig(data=data, resize=16)).shape
    config = NetworkConfig(network="resnet18", width=16)
    network = first_network(config, classes=CLASSES, shape=shape, seed=0)
    ladder = Ladder.for_network(trace(network, torch.zeros(2, *shape)), CLASSES)
    counts = [ladder.channels.parameters(ladder.counts(n)) for n in range(1, ladder.top + 1)]
    return counts.index(parameters) + 1


def stream_row(tasks: int, rule: str, seed: int, data: str) -> Row:
    """Return the figures of one run."""
    settings = SETTINGS | {"data": data, "split": split(tasks, seed)}
    record = run(compose(RULES[rule], settings, preset="s-tinyimg", seed=seed))
    assert record.class_il_recomputed is not None
    return {
        "class_il": round(record.class_il, 2),
        "class_il_recomputed": round(record.class_il_recomputed, 2),
        "task_il": round(record.task_il, 2),
        "average_incremental": round(record.average_incremental, 2),
        "flops": record.training_flops,
        "level": level_of(record.params, data),
        "params": record.params,
        "seconds": round(record.step_s),
    }


def learner_row(name: str, rule: str, seed: int, images: ImageData) -> Row:
    """Return the figures of a learner after all sessions."""
    networks = {"digits": ("cnn", 8), "cifar10": ("resnet18", 16)}
    network, width = networks[name]
    learner = Learner(network=network, width=width, epochs=5, seed=seed, **LEARNERS[rule])
    classes = order(len(images.classes), seed)
    for session in range(SESSIONS):
        new = classes[2 * session : 2 * session + 2]
        learner.learn(*labelled(images, new, IMAGES, train=True))
    test = labelled(images, classes, 2 * IMAGES, train=False)
    return {
        "class_il": round(learner.evaluate(*test), 2),
        "flops": sum(session.flops for session in learner.sessions),
        "level": learner.sessions[-1].level or 0,
        "seconds": round(sum(session.seconds for session in learner.sessions)),
    }


def labelled(
    images: ImageData, classes: list[int], number: int, *, train: bool
) -> tuple[torch.Tensor, list[str]]:
    """Return the first images of each of some classes, and the class name of each image."""
    pixels = images.train_images if train else images.test_images
    labels = images.train_labels if train else images.test_labels
    rows = torch.cat([(labels == each).nonzero().flatten()[:number] for each in classes])
    return pixels[rows], [images.classes[label] for label in labels[rows].tolist()]


def wanted(seeds: int) -> Iterator[tuple[str, int, str, int]]:
    """Yield what to measure: a stream or learner, its tasks, a rule and a seed."""
    for seed in range(seeds):
        for rule in LEARNERS:
            yield "digits", SESSIONS, rule, seed
        for tasks in LENGTHS:
            for rule in ("auto", "no growth", "paper's"):
                yield "tiny", tasks, rule, seed
        for rule in LEARNERS:
            yield "cifar10", SESSIONS, rule, seed
    for seed in range(seeds):
        for tasks in LENGTHS:
            yield "tiny", tasks, "pace 2", seed


def measured(what: tuple[str, int, str, int], paths: dict[str, str]) -> Row:
    """Return the figures of one run or one learner."""
    name, tasks, rule, seed = what
    start = time.perf_counter()
    if name == "tiny":
        row = stream_row(tasks, rule, seed, paths[name])
    else:
        resize = None if name == "digits" else 16
        images = load_images(DataConfig(data=paths[name], resize=resize))
        row = learner_row(name, rule, seed, images)
    made = {"wall": round(time.perf_counter() - start), "commit": environment()["commit"]}
    return {"stream": name, "tasks": tasks, "rule": rule, "seed": seed, **row, **made}


def table(rows: list[Row]) -> str:
    """Return the means over seeds as Markdown, with FLOPs as a share of those without growth."""
    lines = [
        "| stream | tasks | rule | seeds | Class-IL | Task-IL | training FLOPs | of no growth "
        "| final level |",
        "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    groups: dict[tuple[object, ...], list[Row]] = {}
    for row in sorted(rows, key=lambda row: (row["stream"] != "tiny", row["stream"], row["tasks"])):
        groups.setdefault((row["stream"], row["tasks"], row["rule"]), []).append(row)
    for (stream, tasks, rule), found in groups.items():
        flops = statistics.fmean(float(row["flops"]) for row in found)
        full = groups.get((stream, tasks, "no growth"), found)
        share = flops / statistics.fmean(float(row["flops"]) for row in full)
        accuracies = [spread(found, name) for name in ("class_il", "task_il")]
        levels = "-".join(str(level) for level in sorted({row["level"] for row in found}))
        cells = (stream, tasks, rule, len(found), *accuracies, f"{flops:.3g}", f"{share:.2f}")
        lines.append("| " + " | ".join(map(str, (*cells, levels))) + " |")
    return "\n".join(lines)


def spread(rows: list[Row], name: str) -> str:
    """Return mean ± standard deviation over seeds as text."""
    if name not in rows[0]:
        return "-"
    values = [float(row[name]) for row in rows]
    mean = f"{statistics.fmean(values):.1f}"
    return f"{mean} ± {statistics.stdev(values):.1f}" if len(values) > 1 else mean


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tiny", required=True, help="folder of Tiny-ImageNet, in any layout")
    parser.add_argument("--cifar10", required=True, help="folder of CIFAR-10, in any layout")
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    command = shlex.join(["python", *sys.argv])
    paths = {"tiny": arguments.tiny, "cifar10": arguments.cifar10, "digits": "digits"}
    arguments.out.mkdir(parents=True, exist_ok=True)
    file = arguments.out / "pace-rule.json"
    rows: list[Row] = json.loads(file.read_text())["rows"] if file.exists() else []
    done = {(row["stream"], row["tasks"], row["rule"], row["seed"]) for row in rows}
    for what in wanted(arguments.seeds):
        if what in done:
            continue
        rows.append(measured(what, paths))
        print(rows[-1], flush=True)
        result = {"settings": SETTINGS, "images": IMAGES, "command": command}
        result |= {"environment": environment(), "rows": rows}
        write_text(file, json.dumps(result, indent=1) + "\n")
    print(table(rows))
    print(command)


if __name__ == "__main__":
    main()
