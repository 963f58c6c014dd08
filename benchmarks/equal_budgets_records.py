"""Read the runs of ``equal_budgets.py`` by method and budget, with the seconds of their steps."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import msgspec
from equal_budgets import LEVELS

from lord.bench import Bench
from lord.evaluation import RunRecord
from lord.reporting.report import find_records

TUNED = ("tau", "rate", "plastic_rate", "decay")
"""Settings that all runs of a method share. Tables leave them out."""
Cells = dict[tuple[str, int], list[RunRecord]]
"""Method with its settings, and level of the budget -> its runs."""
Cost = Callable[[RunRecord], float | None]


def cells_of(folder: Path, tasks: int, lowest: float) -> Cells:
    """Return the runs of a stream by method and budget."""
    cells: Cells = {}
    for record in find_records(folder):
        budget = record.settings["flops_per_task"]
        spent = budget * tasks if isinstance(budget, int | float) else record.training_flops
        level = min(range(LEVELS), key=lambda each: abs(lowest * 2**each / spent - 1))
        name = re.sub(r":flops_per_task=[^:]*|(?<=^gdumb):passes=[^:]*", "", record.label)
        cells.setdefault((name, level), []).append(record)
    return cells


def named(label: str) -> str:
    """Return the name of a method in the tables.

    >>> named("der++:tau=1:network=resnet8:width=12:stem=dct")
    'der++, resnet8, width 12, DCT stem'
    """
    method, *settings = label.split(":")
    words = [method]
    for name, _, value in (each.partition("=") for each in settings):
        if name not in TUNED:
            words.append({"network": value, "stem": "DCT stem"}.get(name, f"{name} {value}"))
    return ", ".join(words)


def evenly(label: str) -> str:
    """Return a label with its budget written as all others write it, without its stem.

    >>> evenly("er-las:width=8:stem=dct:flops_per_task=4.8e11")
    'er-las:width=8:flops_per_task=4.8e+11'
    """
    label = label.replace(":stem=dct", "")  # a step costs the same
    return re.sub(r"(?<=flops_per_task=)[0-9.e+]+", lambda found: f"{float(found[0]):.4g}", label)


def seconds_of(folder: Path) -> Cost:
    """Return a function from a run to the seconds of its steps; None where they were not timed."""
    per_flop = {
        evenly(step.method): step.seconds / step.flops
        for file in sorted(folder.glob("steps*.json"))
        for step in msgspec.convert(json.loads(file.read_text())["bench"], Bench).steps
    }

    def seconds(record: RunRecord) -> float | None:
        rate = per_flop.get(evenly(record.label))
        return rate and rate * (record.training_flops - record.recompute_flops)

    return seconds


def headline(record: RunRecord) -> float:
    return record.headline[0]
