"""What ``lord bench`` does and prints."""

from pathlib import Path

import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

import lord.bench as speed
import lord.training as training
from lord.cli.commands import given_by, named
from lord.cli.flags import Flags
from lord.cli.written import check_new, writing
from lord.config import UserError
from lord.storage import write_json
from lord.training.folder import environment

console = Console(markup=False)


def bench(flags: Flags, methods: str, task: int | None, steps: int, out: Path | None) -> None:
    given, chosen = given_by(flags)
    names = named(methods)
    if steps < 1:
        raise UserError(f"steps: expected a number >= 1, got {steps}")
    if out is not None:
        check_new(out)
    configs = [
        training.compose(name, given, preset=chosen.get("preset"), beside=names) for name in names
    ]
    with console.status("timing") as status:
        found = speed.bench(configs, steps=steps, task=task, say=status.update)
    console.print(_steps(found))
    console.print(_parts(found))
    for name in names[1:]:
        whole, bare = found.realisation(name, names[0])
        flops = found.share(name, names[0], lambda step: step.flops)
        seconds = found.share(name, names[0], lambda step: step.seconds)
        console.print(
            f"{name} takes {flops:.2f} of {names[0]}'s FLOPs and {seconds:.2f} of its seconds: "
            f"ratio {whole:.2f}; of the bare convolutions, {bare:.2f}",
            highlight=False,
            soft_wrap=True,
        )
    console.print(
        f"The machine: {found.ceiling / 1e9:.0f} GFLOP/s in a large matrix product, "
        f"{found.precision}, {found.threads} thread{'s' * (found.threads > 1)}, {found.device}.",
        highlight=False,
        soft_wrap=True,
    )
    if out is not None:
        values = {"environment": environment(), "bench": msgspec.to_builtins(found)}
        with writing(out):
            write_json(out, values)
        console.print(f"written: {out}", soft_wrap=True)


def _steps(found: speed.Bench) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=0, pad_edge=False, collapse_padding=True)
    heads = ("task", "method", "Mparams", "ms", "bare\nms", "images\n/s", "GFLOP", "GFLOP\n/s")
    for head in (*heads, "of\nceiling", "not\narith.", "memory\nMB", "begin\n%"):
        table.add_column(head, justify="left" if head == "method" else "right")
    for step in found.steps:
        speed = step.flops / step.seconds
        table.add_row(
            str(step.task),
            step.method,
            f"{step.params / 1e6:.2f}",
            f"{1e3 * step.seconds:.1f}",
            f"{1e3 * step.bare_s:.1f}",
            f"{step.images_per_s:.0f}",
            f"{step.flops / 1e9:.2f}",
            f"{speed / 1e9:.0f}",
            f"{100 * speed / found.ceiling:.0f} %",
            f"{100 * step.overhead:.1f} %",
            f"{(step.saved_bytes + step.state_bytes) / 1e6:.0f}",
            f"{100 * step.begin_share:.2f}",
        )
    return table


def _parts(found: speed.Bench) -> Table:
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
