"""``lord bench``: how fast a training step is."""

from collections.abc import Callable
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
from rich.box import SIMPLE_HEAD
from rich.table import Table

from lord.cli.console import check_new, console, say, writing
from lord.cli.flags import Flags, checked
from lord.cli.study import variants_in
from lord.config.types import Count

if TYPE_CHECKING:
    from lord.bench import Bench, StepCost

EXAMPLES = """
lord bench
lord bench --preset s-cifar10 --data cifar10/ --width 16 --threads 1
lord bench --methods der++,lord,lord+ --task 5 --out speed.json
"""


def bench(
    flags: Flags | None = None,
    *,
    methods: str = "der++,lord",
    task: Annotated[int | None, checked(Count)] = None,
    steps: Annotated[int, checked(Count)] = 20,
    out: Path | None = None,
) -> None:
    """Time training steps, and compare them with what the machine can do.

    Run it on a machine that does nothing else.

    Parameters
    ----------
    methods
        Methods, separated by commas. The others are compared with the first.
    task
        The only task to time, from 1. By default all tasks, and so all widths of a growing
        student.
    steps
        Timed steps of each method in each task.
    out
        JSON file for everything measured.
    """
    import lord.bench as timing
    from lord.storage import write_json
    from lord.training import compose
    from lord.training.folder import environment

    arguments, variants = (flags or Flags()).read(), variants_in(methods)
    if out is not None:
        check_new("out", out)
    configs = [
        compose(variant, arguments.given, preset=arguments.preset, beside=variants)
        for variant in variants
    ]
    with console.status("timing") as status:
        found = timing.bench(configs, steps=steps, task=task, say=status.update)
    _show(found, [variant.label for variant in variants])
    if out is not None:
        values = {"environment": environment(), "bench": msgspec.to_builtins(found)}
        with writing(out):
            write_json(out, values)
        say(f"All measurements are in {out}.")


def _show(found: "Bench", names: list[str]) -> None:
    """Print both tables, and what each method's FLOPs are worth beside the first's."""
    console.print(_steps(found))
    console.print(_parts(found))
    for name in names[1:]:
        costs = [
            found.share(name, names[0], lambda step: step.flops),
            found.share(name, names[0], lambda step: step.seconds),
            *found.realisation(name, names[0]),
        ]
        flops, seconds, whole, bare = ("-" if isnan(cost) else f"{cost:.2f}" for cost in costs)
        say(
            f"{name} takes {flops} of {names[0]}'s FLOPs and {seconds} of its seconds: "
            f"ratio {whole}; of the bare convolutions, {bare}"
        )
    threads = f"{found.threads} thread{'s' * (found.threads > 1)}"
    say(
        f"The machine: {found.ceiling / 1e9:.0f} GFLOP/s in a large matrix product, "
        f"{found.precision}, {threads}, {found.device}."
    )


COLUMNS: "dict[str, Callable[[StepCost, Bench], str]]" = {
    "task": lambda step, _: str(step.task),
    "method": lambda step, _: step.method,
    "Mparams": lambda step, _: f"{step.params / 1e6:.2f}",
    "ms": lambda step, _: f"{1e3 * step.seconds:.1f}",
    "bare\nms": lambda step, _: f"{1e3 * step.bare_s:.1f}",
    "images\n/s": lambda step, _: f"{step.images_per_s:.0f}",
    "GFLOP": lambda step, _: f"{step.flops / 1e9:.2f}",
    "GFLOP\n/s": lambda step, _: f"{step.flops / step.seconds / 1e9:.0f}",
    "of\nceiling": lambda step, found: f"{100 * step.flops / step.seconds / found.ceiling:.0f} %",
    "not\narith.": lambda step, _: f"{100 * step.overhead:.1f} %",
    "memory\nMB": lambda step, _: f"{(step.saved_bytes + step.state_bytes) / 1e6:.0f}",
    "begin\n%": lambda step, _: f"{100 * step.begin_share:.2f}",
}
"""Columns of the table of steps."""


def _steps(found: "Bench") -> Table:
    """Each method's steps in each task."""
    table = Table(box=SIMPLE_HEAD, padding=0, pad_edge=False, collapse_padding=True)
    for head in COLUMNS:
        table.add_column(head, justify="left" if head == "method" else "right")
    for step in found.steps:
        table.add_row(*(cell(step, found) for cell in COLUMNS.values()))
    return table


def _parts(found: "Bench") -> Table:
    """The last task's steps by part, in milliseconds."""
    last = [step for step in found.steps if step.task == found.steps[-1].task]
    table = Table(box=SIMPLE_HEAD, padding=0, pad_edge=False, collapse_padding=True)
    table.add_column(f"ms of a step, task {last[0].task}")
    for step in last:
        table.add_column(step.method, justify="right")
    for part in sorted({part for step in last for part in step.split}):
        cells = (f"{1e3 * s.split[part]:.2f}" if part in s.split else "-" for s in last)
        table.add_row(part, *cells)
    return table
