"""Recompute the tables of pretrained networks and of widths, for ``recompute.py``."""

import json
import statistics
from pathlib import Path

WIDTHS = {
    "lord+, growing to full width": ("lord+", "growing-sprites"),
    "lord+, 4 passes": ("lord+:passes=4", "passes-sprites"),
    "lord+, 8 passes": ("lord+", "passes-sprites"),
    "lord+, 16 passes": ("lord+:passes=16", "passes-sprites"),
}
"""Row of the table of widths -> method with its settings, and folder of its runs on sprites."""
PARAMETERS = {"2": 10358, "3": 25394, "4": 48922, "5": 90338}
"""Level of the student -> its number of parameters."""


def wrong_heads(rows: list[list[str]], folder: Path) -> list[str]:
    """Return a line for each row of the table of heads that does not come out as printed."""
    found = []
    heads, *rows = rows
    for name, *cells in rows:
        lines = (folder / f"heads-{name}" / "runs.jsonl").read_text().splitlines()
        runs, computed = [json.loads(line) for line in lines], []
        for method in heads[1::2]:
            own = [run for run in runs if run["method"] == method]
            values, flops = [run["class_il"] for run in own], [run["training_flops"] for run in own]
            if not own:
                computed += ["", ""]
                continue
            computed.append(f"{statistics.fmean(values):.1f} ± {statistics.stdev(values):.1f}")
            computed.append(f"{statistics.fmean(flops):.2g}")
        if cells != computed:
            found.append(f"heads on {name}: printed {cells}, computed {computed}")
    return found


def wrong_widths(widths: list[list[str]], passes: list[list[str]], folder: Path) -> list[str]:
    """Return a line for each figure of the two tables on the width that does not come out."""
    found = []

    def check(what: str, printed: list[str], study: str, **wanted: object) -> None:
        computed = []
        for line in (folder / study / "runs.jsonl").read_text().splitlines():
            run = json.loads(line)
            run["method"] = run["label"].split(":flops_per_task=")[0]
            run["budget"] = f"{run['training_flops']:.1e}"
            if run["seed"] == 0 and all(run[name] == value for name, value in wanted.items()):
                computed.append([f"{run['steps'] * 32 / 5000:.1f}", f"{run['class_il']:.1f}"])
        if any(printed) and printed not in [each[-len(printed) :] for each in computed]:
            found.append(f"{what} in {study}: printed {printed}, computed {computed}")

    for name, cifar10, sprites in widths[1:]:
        method, study = WIDTHS.get(name, (name, "sprites"))
        check(name, [cifar10], "tuning-cifar10", method=method, budget="2.4e+12")
        check(name, [sprites], study, method=method, budget="2.4e+12")
    for level, _, *cells in passes[1:]:
        for budget, (each, *accuracies) in (("6.0e+11", cells[:3]), ("1.2e+12", cells[3:])):
            for stream, accuracy in zip(("cifar10", "sprites"), accuracies, strict=True):
                pair = [each, accuracy] if stream == "cifar10" else [accuracy]
                check(f"level {level}", pair, f"passes-{stream}", budget=budget,
                      params=PARAMETERS[level])  # fmt: skip
    return found
