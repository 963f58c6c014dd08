"""Compare methods at equal budgets of training FLOPs, on streams with and without tuning.

    python benchmarks/equal_budgets.py sprites --data domains/sprites --out runs/sprites

runs one stream: all methods, budgets and seeds. If it is stopped, the same command continues.
``--levels`` of the budget, ``--methods`` and ``--seeds`` run a part, and ``lord report
runs/sprites`` then makes the tables of all parts. With ``--steps``, the median step of the second
task is timed instead, on a machine that does nothing else. ``--out`` is then the JSON file. All
streams have at most 5,000 training images of 32 x 32 pixels, but ``width64`` has 10,000.

Methods, settings and optimizer are those of ``results/baselines-s-cifar10``. They were tuned on
streams of CIFAR-10 and, a little, on the first hundred classes of Tiny-ImageNet. How ``lord+``
chooses its width (``passes``) was decided on the first seed of ``cifar10`` and the first two of
``sprites``, and the width of 6 on the first seed of ``cifar10``. ``resnet8`` and its widths were
chosen on the same runs, and ``stem=dct`` on three seeds of ``cifar10``. No choice was made on the
streams of ``UNSEEN``. In the stream ``photographs``, the seed chooses the classes (``weekly.py``).

With ``--pretrained``, methods run that start from a network with ImageNet weights, which stays
frozen. Closed-form heads pass each image once, so they have no budget. ``lord-fused`` also trains a
student, and ``er-las`` the layers above a cut. Both have the same budget on all streams. The frozen
network sees images of 64 x 64 pixels where these are as large.

``gdumb`` trains once, after the last task. Its budget is a number of passes over the buffer: the
largest power of two that it can pay for, because its learning rate has just fallen then.
"""

import argparse
import shlex
import subprocess
import sys
from typing import NamedTuple

LEVELS = 6
"""Number of budgets of a stream, each twice the one before."""
METHODS = (
    "lord",
    "lord:width=6",
    "lord+",
    "lord+:network=resnet8:width=32",
    "lord+:network=resnet8:width=32:stem=dct",
    "er-las",
    "er-las:width=8",
    "er-las:width=6",
    "er-las:width=4",
    "er-las:network=resnet8:width=16",
    "er-las:network=resnet8:width=12",
    "er-las:network=resnet8:width=16:stem=dct",
    "er-las:network=resnet8:width=12:stem=dct",
    "er-ace:width=6",
    "der++:tau=1",
    "der++:tau=1:width=8",
    "der++:tau=1:width=6",
    "der++:tau=1:network=resnet8:width=12",
    "der++:tau=1:network=resnet8:width=12:stem=dct",
    "mean-er:tau=1:rate=1:decay=0.97:width=6",
    "cls-er:tau=1:rate=0.9:plastic_rate=1:decay=0.97:width=6",
    "er-all:width=6",
    "icarl:width=6",
    "gdumb:width=6",
)
"""Methods, with their settings."""
SHARED = (
    "--width {width} --buffer 500 --precision {precision} --threads 1 --optimizer muon --lr 0.05 "
    "--momentum 0.6 --weight-decay 0.01 --schedule triangle"
)
HEADS = ("ncm", "slda", "ranpac")
"""Closed-form heads over the features of a frozen network."""
TRAINED = ("lord-fused", "er-las:cut=blocks.10:lr=0.03:momentum=0.9")
"""Methods that train a network beside or above frozen layers."""
TRAINED_BUDGET = 1.2e12
"""FLOPs of ``TRAINED`` for a stream, including those of the frozen layers."""
FROZEN = "--backbone efficientnet-lite0 --backbone-size 64 --threads 1"
GDUMB_PASS = 1.5e10
"""FLOPs of one pass over a buffer of 500 images of 32 x 32 pixels, at width 6."""
HUNDRED = "--preset s-tinyimg --subset 0.1 --test-subset 0.2 --resize 32"


class Stream(NamedTuple):
    """Tasks of a stream, training FLOPs of its lowest budget, settings, and the networks' width."""

    tasks: int
    lowest: float
    settings: str
    width: int = 16
    precision: str = "fp32"


def split(classes: range, tasks: int) -> str:
    """Return the classes of each task as ``--split`` takes them."""
    each = len(classes) // tasks
    return "/".join(
        ",".join(str(label) for label in classes[start : start + each])
        for start in range(0, len(classes), each)
    )


STREAMS = {
    "cifar10": Stream(5, 3e11, "--preset s-cifar10 --subset 0.1 --skip 0.2 --test-subset 0.2"),
    "blurry": Stream(
        5,
        3e11,
        "--preset s-cifar10 --subset 0.2 --skip 0.4 --test-subset 0.2 --scenario blurry "
        "--imbalance 10",
    ),
    "tiny10": Stream(10, 6e11, f"{HUNDRED} --split {split(range(100), 10)}"),
    "tiny20": Stream(20, 6e11, f"{HUNDRED} --split {split(range(100, 200), 20)}"),
    "sprites": Stream(5, 3e11, "--preset images --tasks 5 --resize 32"),
    "spectrograms": Stream(5, 3e11, "--preset images --tasks 5 --resize 32"),
    "photographs": Stream(4, 3e11, "--plugin benchmarks/weekly.py --preset weekly{seed}-32"),
    "width64": Stream(5, 1e13, "--preset s-cifar10 --subset 0.2", 64, "bf16"),
}
UNSEEN = ("spectrograms", "tiny20")
"""Streams that were used for no choice. The images of ``blurry`` were, in another stream."""


def variants(names: list[str], budgets: list[float], tasks: int) -> list[str]:
    """Return the variants for ``lord compare``."""
    found = []
    for budget in budgets:
        for name in names:
            if name in HEADS:
                found.append(name)
            elif name.startswith("gdumb"):
                # After each task, statistics are recomputed on the buffer: a third of a pass.
                affordable = int(budget / GDUMB_PASS - tasks / 3)
                passes = 2 ** (affordable.bit_length() - 1)
                found.append(name.replace("gdumb", f"gdumb:passes={passes}"))
            else:
                found.append(f"{name}:flops_per_task={budget / tasks:.4g}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("stream", choices=STREAMS)
    parser.add_argument("--data", help="path of the images; none for 'photographs'")
    parser.add_argument("--out", required=True)
    parser.add_argument("--levels", type=int, nargs="+", default=range(LEVELS))
    parser.add_argument("--methods", nargs="+", choices=(*METHODS, *HEADS, *TRAINED))
    parser.add_argument("--seeds", type=int, nargs="+", default=(0, 1, 2))
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--steps", action="store_true", help="time steps")
    what.add_argument("--pretrained", action="store_true", help="start from a frozen network")
    given = parser.parse_args()
    stream = STREAMS[given.stream]
    if given.pretrained:
        budgets, methods, shared = [TRAINED_BUDGET], (*HEADS, *TRAINED), FROZEN
        settings = stream.settings.replace(" --resize 32", "").replace("{seed}-32", "{seed}-64")
    else:
        budgets, methods = [stream.lowest * 2**level for level in given.levels], METHODS
        shared = SHARED.format(width=stream.width, precision=stream.precision)
        settings = stream.settings
    if wrong := set(given.methods or methods) - set(methods):
        how = "does not go" if given.pretrained else "goes only"
        parser.error(f"--methods: {min(wrong)!r} {how} with --pretrained")
    chosen = "{seed}" in stream.settings  # the seed chooses the classes
    if chosen == bool(given.data):
        parser.error("--data: give it with every stream but 'photographs'")
    # A comparison has the same images for all its seeds.
    groups = [[seed] for seed in given.seeds] if chosen else [given.seeds]
    for seeds in groups[:1] if given.steps else groups:
        command = [
            *(("bench", "--task", "2", "--steps", "12") if given.steps else ("compare",)),
            *shlex.split(settings.format(seed=seeds[0])),
            *shlex.split(shared),
            *(() if chosen else ("--data", given.data)),
            *("--out", given.out, "--methods"),
            ",".join(variants(given.methods or methods, budgets, stream.tasks)),
        ]
        if not given.steps:
            command += ["--jobs", "1", "--seeds", "".join(f"{seed}," for seed in seeds)]
            command += [] if chosen else ["--order", "seeded"]
        done = subprocess.run([sys.executable, "-m", "lord", *command], check=False)
        if done.returncode:
            sys.exit(done.returncode)


if __name__ == "__main__":
    main()
