"""``lord check``: whether this machine computes what the CPU computes."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec
from rich.box import SIMPLE_HEAD
from rich.table import Table

from lord.cli.console import check_new, console, say, show, writing
from lord.config import load_plugin

if TYPE_CHECKING:
    from lord.bench import CheckReport

EXAMPLES = """
lord check
lord check --device cuda --out check.json
"""


def check(
    *,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    out: Path | None = None,
    plugin: Path | None = None,
) -> None:
    """Check this machine: does everything work here, and does it agree with the CPU?

    Forward, backward, growth, teacher search, export, and every method's training and resuming
    are compared with one thread of the CPU. It takes about two minutes. The exit code is 1 if
    something differs.

    Parameters
    ----------
    device
        Device to check. The CPU is checked with all its threads.
    out
        JSON file for the whole report.
    plugin
        Python file that registers methods, which are checked too.
    """
    import lord.bench as bench
    from lord.storage import write_json

    if plugin:
        load_plugin(plugin)
    if out is not None:
        check_new("out", out)
    with console.status("checking") as status:
        report = bench.check(device, status.update)
    _show(report)
    if out is not None:
        with writing(out):
            write_json(out, msgspec.to_builtins(report))
        say(f"The report is in {out}.")
    if report.differing:
        say(f"These differ: {', '.join(report.differing)}.")
        sys.exit(1)
    say("Nothing differs.")


def _show(report: "CheckReport") -> None:
    """Print the machine, and a line for each check."""
    for name, value in report.environment.items():
        say(f"{name}: {value}")
    speeds = report.fp32_flops / 1e9, report.bf16_flops / 1e9
    say(f"device: {report.device}, {speeds[0]:.0f} GFLOP/s in fp32, {speeds[1]:.0f} in bf16")
    table = Table(box=SIMPLE_HEAD, padding=0, pad_edge=False, collapse_padding=True)
    for head in ("check", "result", "detail"):
        table.add_column(head)
    for finding in report.findings:
        table.add_row(finding.name, finding.result, finding.detail)
    show(table)
