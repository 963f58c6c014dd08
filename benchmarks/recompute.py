"""Recompute each figure of the pages on equal budgets from the raw records, without this package.

    python benchmarks/recompute.py results/equal-budgets

It shares no code with ``equal_budgets_page.py`` and uses Python's standard library alone. Each
number of the tables between marks must come out as printed. It names those that do not, and then
ends with 1.
"""

import argparse
import bisect
import itertools
import json
import math
import operator
import re
import statistics
import sys
from pathlib import Path

from recompute_choices import wrong_heads, wrong_widths

STUDENT = {1: 12.706205, 2: 4.302653, 3: 3.182446, 4: 2.776445, 5: 2.570582}
"""Degrees of freedom -> 97.5 % quantile of Student's t distribution."""
UNSEEN = ("spectrograms", "tiny20")
"""Streams that were used for no choice."""
SHALLOW = "lord+, resnet8, width 32"
MINE = {"lord+": SHALLOW, SHALLOW: f"{SHALLOW}, DCT stem"}
"""Two of our methods, and the one that each is compared with."""
Values = dict[tuple[str, str], dict[int, float]]
"""Printed method, and printed budget -> accuracy in percent by seed."""


def shown(label: str) -> str:
    """Return a method as tables print it: without its budget and the settings that all share."""
    left_out = r":(flops_per_task|tau|rate|plastic_rate|decay)=[^:]*|(?<=^gdumb):passes=[^:]*"
    text = re.sub(left_out, "", label).replace(":stem=dct", ", DCT stem")
    return text.replace(":network=", ", ").replace(":", ", ").replace("=", " ")


def read(file: Path, tasks: int, *, recomputed: bool = False) -> tuple[Values, dict[str, float]]:
    """Return the accuracies of all runs, and the most megabytes that each method kept.

    They are those with statistics recomputed on the buffer, if ``recomputed``.
    """
    values: Values = {}
    kept: dict[str, float] = {}
    for line in file.read_text().splitlines():
        run = json.loads(line)
        suffix = "_recomputed" if recomputed or run["statistics"] == "recomputed" else ""
        found = re.search(r"flops_per_task=([0-9.e+]+)", run["label"])
        total = float(found[1]) * tasks if found else run["training_flops"]
        budget = f"{total:.2g}" if found else f"about {total}"
        name = shown(run["label"])
        values.setdefault((name, budget), {})[run["seed"]] = run["class_il" + suffix]
        kept[name] = max(kept.get(name, 0), run["state_bytes"] / 1e6)
    return values, kept


def nearest(values: Values, method: str, budget: str) -> dict[int, float]:
    """Return the runs of a method whose budget is printed so, or is nearest to it."""
    if (method, budget) in values:
        return values[method, budget]
    found = {}
    for (name, text), runs in values.items():
        if name == method and text.startswith("about "):
            ratio = float(text.removeprefix("about ")) / float(budget)
            if 0.7 < ratio < 1.4:
                found |= runs
    return found


def table(page: str, name: str) -> list[list[str]]:
    """Return the cells of the table between two marks, without the line under the heads."""
    text = page.split(f"<!-- {name} -->")[1].split(f"<!-- end of {name} -->")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")]
    rows = [[cell.strip().strip("*") for cell in line.strip("|").split("|")] for line in lines]
    return [rows[0], *rows[2:]]


def seconds(folder: Path, tasks: int) -> dict[tuple[str, str], float]:
    """Return the mean seconds of training steps, by method and printed budget."""
    each, found = {}, dict[tuple[str, str], list[float]]()
    for file in sorted(folder.glob("steps*.json")):
        for step in json.loads(file.read_text())["bench"]["steps"]:
            name, budget = step["method"].split(":flops_per_task=")
            each[shown(name), float(budget)] = step["seconds"] / step["flops"]
    for line in (folder / "runs.jsonl").read_text().splitlines():
        run = json.loads(line)
        label, _, budget = run["label"].partition(":flops_per_task=")
        name = shown(label)
        step = each.get((name.removesuffix(", DCT stem"), float(budget or 0)))
        if step is not None:
            spent = run["training_flops"] - run["recompute_flops"]
            found.setdefault((name, f"{float(budget) * tasks:.2g}"), []).append(step * spent)
    return {key: statistics.fmean(values) for key, values in found.items()}


def exact(gaps: list[float]) -> float:
    """Return the share of changes of signs with a sum as far from 0, counted in two halves."""
    halves = []
    for part in (gaps[: len(gaps) // 2], gaps[len(gaps) // 2 :]):
        signs = itertools.product((1, -1), repeat=len(part))
        halves.append(sorted(sum(map(operator.mul, each, part)) for each in signs))
    least, (one, other) = abs(sum(gaps)) - 1e-9, halves
    near = sum(
        bisect.bisect_left(other, least - each) - bisect.bisect_right(other, -least - each)
        for each in one
    )
    return 1 - max(near, 0) / 2 ** len(gaps)


def tests(differences: list[list[float]]) -> list[str]:
    """Return p and corrected p as printed, nothing for differences of fewer than six pairs."""
    values = [exact(gaps) for gaps in differences if len(gaps) > 5]
    ordered, printed = sorted(values), []
    for gaps in differences:
        if len(gaps) < 6:
            printed.append("|")
            continue
        p = exact(gaps)
        places = range(ordered.index(p) + 1)
        corrected = max(min(1.0, (len(ordered) - n) * ordered[n]) for n in places)
        printed.append(f"{p:.2g}|{corrected:.2g}")
    return printed


def same(rival: str) -> str:
    """Return our method in the network of a rival, with its stem."""
    found = SHALLOW if "resnet8" in rival else "lord+"
    return MINE.get(rival, found + (", DCT stem" if rival.endswith(", DCT stem") else ""))


def differing(first: dict[int, float], second: dict[int, float]) -> tuple[str, bool]:
    """Return the paired difference as printed, and whether its interval excludes 0."""
    gaps = [first[seed] - second[seed] for seed in sorted(first.keys() & second.keys())]
    mean = sum(gaps) / len(gaps)
    single = len(gaps) == 1
    reach = (
        math.inf if single else STUDENT[len(gaps) - 1] * statistics.stdev(gaps) / len(gaps) ** 0.5
    )
    return f"{mean:+.1f} ({mean - reach:+.1f} to {mean + reach:+.1f})", abs(mean) > reach


def wrong(page: str, folder: Path, tasks: int) -> list[str]:
    """Return a line for each figure of a stream that does not come out as printed."""
    values, kept = read(folder / "runs.jsonl", tasks)
    found, name = [], folder.name

    def check(what: str, printed: str, computed: str) -> None:
        if printed != computed:
            found.append(f"{name}: {what}: printed {printed}, computed {computed}")

    heads, *rows = table(page, f"{name}: accuracy")
    for method, *cells, megabytes in rows:
        check(f"MB of {method}", megabytes, f"{kept[method]:.1f}")
        for budget, cell in zip(heads[1:-1], cells, strict=True):
            runs = list(nearest(values, method, budget).values())
            text = f"{statistics.fmean(runs):.1f}" if runs else ""
            if len(runs) > 1:
                text += f" ± {statistics.stdev(runs):.1f}"
            check(f"{method} at {budget}", cell, text)
    if f"<!-- {name}: seconds -->" in page:
        timed = seconds(folder, tasks)
        heads, *rows = table(page, f"{name}: seconds")
        for method, *cells in rows:
            for budget, cell in zip(heads[1:], cells, strict=True):
                known = (method, budget) in timed
                check(f"s of {method}", cell, f"{timed[method, budget]:.0f}" if known else "")
    heads, *rows = table(page, f"{name}: differences")
    computed = []
    for budget, rival, points, *_ in rows:
        mine, other = (nearest(values, method, budget) for method in (same(rival), rival))
        check(f"{same(rival)} minus {rival} at {budget}", points, differing(mine, other)[0])
        computed.append([mine[seed] - other[seed] for seed in mine.keys() & other.keys()])
    for row, p in zip(rows, tests(computed), strict=True):
        check(f"p of {row[1]} at {row[0]}", "|".join(row[3:]), p)
    return found


def wrong_together(
    page: str, title: str, streams: list[Path], first: int | None = None
) -> list[str]:
    """Return a line for each row of a table of streams that does not come out as printed.

    Only the ``first`` budgets of each stream count, if it is given.
    """
    found = []
    _, *rows = table(page, title)
    computed = []
    for rival, *_ in rows:
        gaps, used = [], 0
        for folder in streams:
            budgets = table(page, f"{folder.name}: accuracy")[0][1:-1][:first]
            values, _ = read(folder / "runs.jsonl", tasks_of(folder))
            by_seed: dict[int, list[float]] = {}
            for budget in budgets:
                mine, other = (nearest(values, name, budget) for name in (same(rival), rival))
                for seed in mine.keys() & other.keys() & {0, 1, 2}:
                    by_seed.setdefault(seed, []).append(mine[seed] - other[seed])
            used += bool(by_seed)
            gaps += [sum(each) / len(each) for _, each in sorted(by_seed.items())]
        ahead, mean = sum(gap > 0 for gap in gaps), sum(gaps) / len(gaps)
        computed.append((gaps, [str(used), str(len(gaps)), f"{mean:+.1f}", str(ahead)]))
    for row, (_, cells), p in zip(rows, computed, tests([c[0] for c in computed]), strict=True):
        if row[1:] != [*cells, *p.split("|")]:
            found.append(f"{title}: {row}: computed {cells}, {p}")
    return found


def wrong_rivals(
    page: str, title: str, streams: list[Path], *, shallow: bool, recomputed: bool = False
) -> list[str]:
    """Return a line for each stream of a table of best rivals that does not come out as printed.

    Methods in resnet8 count if ``shallow``. Statistics are as trained, or ``recomputed``.
    """
    found = []
    for name, *cells in table(page, title)[1:]:
        (folder,) = [each for each in streams if each.name == name]
        values, _ = read(folder / "runs.jsonl", tasks_of(folder), recomputed=recomputed)
        labels = {label for label, _ in values if shallow or "resnet8" not in label}
        printed = [cell for cell in cells if cell]
        computed = []
        for budget in table(page, f"{name}: accuracy")[0][1:-1]:
            runs = {label: nearest(values, label, budget) for label in labels}
            means = {m: (r[0] + r[1] + r[2]) / 3 for m, r in runs.items() if {0, 1, 2} <= r.keys()}
            mine = [method for method in means if method.startswith("lord+")]
            others = [method for method in means if not method.startswith("lord")]
            if mine and others:
                cell = "".join(printed[len(computed) : len(computed) + 1])

                def rank(
                    method: str, means: dict[str, float] = means, cell: str = cell
                ) -> tuple[float, bool]:
                    return round(means[method], 9), cell.endswith(f" {method}")  # of equal means

                first, second = (max(some, key=rank) for some in (mine, others))
                text, clear = differing(runs[first], runs[second])
                computed.append(f"{text.split()[0]}{'*' if clear else ''} {second}")
        if printed != computed:
            found.append(f"{title}: {name}: printed {printed}, computed {computed}")
    return found


def wrong_shares(page: str, streams: list[Path]) -> list[str]:
    """Return a line for each printed share of FLOPs for statistics that comes out otherwise."""
    found = []
    heads, *rows = table(page, "statistics: share")
    for method, *cells in rows:
        for stream, printed in zip(heads[1:], cells, strict=True):
            (folder,) = [each for each in streams if each.name == stream]
            by_budget: dict[float, list[float]] = {}
            for line in (folder / "runs.jsonl").read_text().splitlines():
                run = json.loads(line)
                if shown(run["label"]) == method:
                    budget = float(run["label"].partition("flops_per_task=")[2])
                    share = 100 * run["recompute_flops"] / run["training_flops"]
                    by_budget.setdefault(budget, []).append(share)
            ends = (
                [statistics.fmean(by_budget[f(by_budget)]) for f in (min, max)] if by_budget else []
            )
            computed = " to ".join(dict.fromkeys(f"{share:.0f}" for share in ends))
            if printed != computed:
                found.append(f"share of {method} on {stream}: {printed}, computed {computed}")
    return found


def tasks_of(folder: Path) -> int:
    """Return the number of tasks of a stream."""
    first = json.loads((folder / "runs.jsonl").read_text().splitlines()[0])
    return len(first["matrices"]["class_il"])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    page, found = "".join(file.read_text() for file in sorted(folder.rglob("*.md"))), []
    if not page:
        parser.error(f"folder: {str(folder)!r} has no pages")
    streams: list[Path] = []
    for each in sorted(folder.iterdir()):
        if f"<!-- {each.name}: accuracy -->" in page:
            found += wrong(page, each, tasks_of(each))
            streams.append(each)
    found += wrong_together(page, "all streams: differences", streams)
    found += wrong_together(page, "lowest budgets: differences", streams, first=2)
    unseen = [each for each in streams if each.name in UNSEEN]
    found += wrong_together(page, "unseen streams: differences", unseen)
    found += wrong_rivals(page, "all streams: best rival", streams, shallow=True)
    found += wrong_rivals(page, "ResNet-18: best rival", streams, shallow=False)
    for title, shallow in (("all streams", True), ("ResNet-18", False)):
        title += ": best rival, recomputed"
        found += wrong_rivals(page, title, streams, shallow=shallow, recomputed=True)
    found += wrong_shares(page, streams)
    found += wrong_heads(table(page, "heads"), folder)
    found += wrong_widths(table(page, "widths"), table(page, "passes"), folder)
    print("\n".join(found) or f"All figures of {len(streams)} streams come out as printed.")
    sys.exit(bool(found) or not streams)


if __name__ == "__main__":
    main()
