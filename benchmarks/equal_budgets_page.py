"""Write the tables of the comparison at equal budgets into its pages.

    python benchmarks/equal_budgets_page.py results/equal-budgets

The folder has a study for each stream of ``equal_budgets.py``, and pages. Each table replaces what
stands between its two marks in one of the pages. A table of several streams has a pair of runs for
each stream and seed of ``COMMON``: Class-IL of ``lord+`` minus that of its rival, as a mean over
their common budgets. ``lord+`` has the network of its rival. As rivals, ``lord+`` in ResNet-18 is
compared with itself in ``resnet8``, and that with itself with ``stem=dct``. Differences of fewer
than six pairs are not tested, because their p value cannot be below .05. They do not count as tests
in the correction either.
"""

import argparse
import re
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from equal_budgets import HEADS, LEVELS, METHODS, STREAMS, TRAINED, UNSEEN
from equal_budgets_records import Cells, Cost, cells_of, headline, named, seconds_of
from exact_tests import p_values

from lord.evaluation import RunRecord
from lord.reporting.report import find_records
from lord.reporting.rows import Pick, Row, variant_of
from lord.reporting.statistics import Difference, paired
from lord.storage import write_text

OURS = "lord+"
"""The method that is compared with the others."""
SHALLOW = "lord+:network=resnet8:width=32"
"""The same method in a shallower network."""
STEM = f"{SHALLOW}:stem=dct"
"""The same, where the first layer starts from DCT filters."""
LOW = 2
"""How many budgets of a stream count as its lowest."""
SHARED_BY = ("lord+", "er-las", "er-las:width=6", "der++:tau=1", "der++:tau=1:width=6")
"""Methods whose share of FLOPs for recomputed statistics is shown."""
COMMON = (0, 1, 2)
"""Seeds that all methods have, where they were not run on one seed alone."""


def in_network_of(rival: str) -> str | None:
    """Return ``lord+`` in the network of a rival, or ``lord+`` in the next one if it is the rival.

    >>> in_network_of("er-las:network=resnet8:width=12") == in_network_of("lord+") == SHALLOW
    True
    """
    following = {OURS: SHALLOW, SHALLOW: STEM, STEM: None}
    if rival in following:
        return following[rival]
    return STEM if "stem=" in rival else SHALLOW if "network=" in rival else OURS


def difference(
    one: Sequence[RunRecord], other: Sequence[RunRecord], pick: Pick = headline
) -> Difference | None:
    """Return the paired difference in Class-IL."""
    first, second = (Row("", "", variant_of(each[0]), tuple(each)) for each in (one, other))
    return paired(first, second, pick)


def recomputed(record: RunRecord) -> float | None:
    """Return Class-IL with statistics recomputed on the buffer."""
    return record.class_il_recomputed


def by_budget(cells: Cells, lowest: float, last: str = "") -> tuple[list[int], list[str]]:
    """Return the levels of the budgets, and the first two lines of a table with a column each."""
    levels = sorted({level for _, level in cells})
    heads = [f"{lowest * 2**level:.2g}" for level in levels]
    head = "| method | " + " | ".join(heads) + " |" + last
    return levels, [head, "|---" * (head.count("|") - 1) + "|"]


def accuracy_table(cells: Cells, lowest: float) -> list[str]:
    """Return Class-IL by method and budget. The highest mean of a budget is bold."""
    levels, lines = by_budget(cells, lowest, " MB kept |")
    means = {key: statistics.fmean(map(headline, records)) for key, records in cells.items()}
    for method in (*METHODS, *sorted({name for name, _ in cells} - {*METHODS})):
        line, kept = [], 0
        for level in levels:
            records = cells.get((method, level), [])
            if not records:
                line.append("")
                continue
            values = list(map(headline, records))
            text = f"{means[method, level]:.1f}"
            if len(values) > 1:
                text += f" ± {statistics.stdev(values):.1f}"
            best = max(mean for (_, each), mean in means.items() if each == level)
            line.append(f"**{text}**" if means[method, level] == best else text)
            kept = max(kept, *(record.state_bytes for record in records))
        if any(line):
            lines.append(f"| {named(method)} | " + " | ".join(line) + f" | {kept / 1e6:.1f} |")
    return lines


def seconds_table(cells: Cells, lowest: float, seconds: Cost) -> list[str]:
    """Return the mean seconds of training steps of timed methods, by method and budget."""
    levels, lines = by_budget(cells, lowest)
    for method in METHODS:
        line = []
        for level in levels:
            found = [s for run in cells.get((method, level), []) if (s := seconds(run)) is not None]
            line.append(f"{statistics.fmean(found):.0f}" if found else "")
        if any(line):
            lines.append(f"| {named(method)} | " + " | ".join(line) + " |")
    return lines


def difference_table(cells: Cells, lowest: float) -> list[str]:
    """Return Class-IL of ``lord+`` minus that of each rival, with intervals and p values."""
    rows = []
    for (method, level), records in sorted(cells.items(), key=lambda each: each[0][::-1]):
        mine = cells.get((in_network_of(method) or "", level), [])
        if mine:
            gap = difference(mine, records)
            if gap is not None and gap.p is not None:
                gaps = _gaps(mine, records)
                rows.append((level, method, gap, [*gaps.values()]))
    lines = [f"| budget | {OURS} minus | points (95 % interval) | p | p, corrected |"]
    lines.append("|---:|---|---:|---:|---:|")
    for (level, method, gap, _), p in zip(rows, p_values([row[3] for row in rows]), strict=True):
        points = f"{gap.mean:+.1f} ({gap.low:+.1f} to {gap.high:+.1f})"
        lines.append(f"| {lowest * 2**level:.2g} | {named(method)} | {points} | {p} |")
    return lines


def streams_table(streams: Sequence[Cells]) -> list[str]:
    """Return Class-IL of ``lord+`` minus that of each rival over the pairs of some streams."""
    rows = []
    for rival in METHODS:
        gaps, common = [], 0
        for cells in streams:
            mine = in_network_of(rival) or ""
            both = [level for method, level in cells if method == rival and (mine, level) in cells]
            found = {level: _gaps(cells[mine, level], cells[rival, level]) for level in both}
            seeds = sorted({seed for each in found.values() for seed in each if seed in COMMON})
            common += bool(seeds)
            gaps += [
                statistics.fmean(each[seed] for each in found.values() if seed in each)
                for seed in seeds
            ]
        if len(gaps) > 1:
            rows.append((rival, common, gaps))
    lines = [f"| {OURS} minus | streams | pairs | points | pairs ahead | p | p, corrected |"]
    lines.append("|---|---:|---:|---:|---:|---:|---:|")
    for (rival, common, gaps), p in zip(rows, p_values([row[2] for row in rows]), strict=True):
        mean, ahead = f"{statistics.fmean(gaps):+.1f}", sum(gap > 0 for gap in gaps)
        lines.append(f"| {named(rival)} | {common} | {len(gaps)} | {mean} | {ahead} | {p} |")
    return lines


def best_rival_table(
    streams: Mapping[str, Cells], ours: str, rivals: str, pick: Pick = headline
) -> list[str]:
    """Return Class-IL of our best method minus that of its best rival, by stream and budget.

    The best have the highest mean over the seeds of ``COMMON``, and methods without these are left
    out. Their difference is that over all seeds that both have. A star marks a difference whose
    95 % interval does not contain 0.

    Args:
        streams: cells of each stream.
        ours: pattern of the labels of our methods.
        rivals: pattern of the labels of other methods.
        pick: returns the accuracy of a run.
    """
    levels = range(LEVELS)
    heads = [f"lowest x {2**level}" if level else "lowest budget" for level in levels]
    lines = ["| stream | " + " | ".join(heads) + " |", "|---" * (LEVELS + 1) + "|"]
    for name, cells in streams.items():
        line = []
        for level in levels:
            mine, other = (best_of(cells, level, pattern, pick) for pattern in (ours, rivals))
            gap = None
            if mine and other:
                gap = difference(cells[mine, level], cells[other, level], pick)
            if gap is None or other is None:
                line.append("")
                continue
            star = "*" if (gap.low or 0) > 0 or (gap.high or 0) < 0 else ""
            line.append(f"{gap.mean:+.1f}{star} {named(other)}")
        if any(line):
            lines.append(f"| {name} | " + " | ".join(line) + " |")
    return lines


def lowest_of(cells: Cells) -> Cells:
    """Return the runs of a stream at its lowest budgets."""
    levels = sorted({level for _, level in cells})[:LOW]
    return {key: runs for key, runs in cells.items() if key[1] in levels}


def shares_table(streams: Mapping[str, Cells]) -> list[str]:
    """Return the share of FLOPs for recomputed statistics, at the lowest and the highest budget."""
    lines = ["| method | " + " | ".join(streams) + " |", "|---" * (len(streams) + 1) + "|"]
    for method in SHARED_BY:
        line = []
        for cells in streams.values():
            levels = sorted(level for each, level in cells if each == method)
            ends = [
                statistics.fmean(
                    100 * r.recompute_flops / r.training_flops for r in cells[method, n]
                )
                for n in dict.fromkeys(levels[:1] + levels[-1:])
            ]
            line.append(" to ".join(dict.fromkeys(f"{share:.0f}" for share in ends)))
        lines.append(f"| {named(method)} | " + " | ".join(line) + " |")
    return lines


def best_of(cells: Cells, level: int, labels: str, pick: Pick = headline) -> str | None:
    """Return the method with the highest mean over the common seeds; None if there is none."""
    means = {}
    for (method, each), records in cells.items():
        found = [pick(record) for record in records if record.seed in COMMON]
        values = [value for value in found if value is not None]
        if each == level and re.fullmatch(labels, method) and len(values) == len(COMMON):
            means[method] = statistics.fmean(values)
    return max(means, key=lambda method: means[method], default=None)


def heads_table(folder: Path) -> list[str]:
    """Return Class-IL and training FLOPs of the methods over a frozen network, by stream."""
    names = [name.split(":")[0] for name in (*HEADS, *TRAINED)]
    lines = ["| stream | " + " | ".join(f"{name} | FLOPs" for name in names) + " |"]
    lines.append("|---" * (2 * len(names) + 1) + "|")
    for stream in STREAMS:
        if not (folder / f"heads-{stream}").is_dir():
            continue
        line, records = [], find_records(folder / f"heads-{stream}")
        for name in names:
            runs = [record for record in records if record.method == name]
            if not runs:
                line.append(" | ")
                continue
            values = list(map(headline, runs))
            text = f"{statistics.fmean(values):.1f} ± {statistics.stdev(values):.1f}"
            flops = statistics.fmean(run.training_flops for run in runs)
            line.append(f"{text} | {flops:.2g}")
        lines.append(f"| {stream} | " + " | ".join(line) + " |")
    return lines


def _gaps(mine: Sequence[RunRecord], theirs: Sequence[RunRecord]) -> dict[int, float]:
    """Return the difference in Class-IL by common seed."""
    first, second = ({r.seed: headline(r) for r in records} for records in (mine, theirs))
    return {seed: first[seed] - second[seed] for seed in first.keys() & second.keys()}


def tables_of(folder: Path) -> dict[str, list[str]]:
    """Return the lines of each table, by the name in its marks."""
    tables, found = {"heads": heads_table(folder)}, {}
    for name, stream in STREAMS.items():
        if (folder / name).is_dir():
            found[name] = cells = cells_of(folder / name, stream.tasks, stream.lowest)
            seconds = seconds_of(folder / name)
            tables[f"{name}: accuracy"] = accuracy_table(cells, stream.lowest)
            tables[f"{name}: seconds"] = seconds_table(cells, stream.lowest, seconds)
            tables[f"{name}: differences"] = difference_table(cells, stream.lowest)
    deep = "(?!lord)((?!network=).)*"
    return tables | {
        "all streams: best rival": best_rival_table(found, re.escape(OURS) + ".*", "(?!lord).*"),
        "ResNet-18: best rival": best_rival_table(found, re.escape(OURS), deep),
        "all streams: best rival, recomputed": best_rival_table(
            found, re.escape(OURS) + ".*", "(?!lord).*", recomputed
        ),
        "ResNet-18: best rival, recomputed": best_rival_table(
            found, re.escape(OURS), deep, recomputed
        ),
        "statistics: share": shares_table(found),
        "all streams: differences": streams_table([*found.values()]),
        "lowest budgets: differences": streams_table([*map(lowest_of, found.values())]),
        "unseen streams: differences": streams_table([found[n] for n in UNSEEN if n in found]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    pages = {file: file.read_text() for file in sorted(folder.rglob("*.md"))}
    for name, lines in tables_of(folder).items():
        start, end = f"<!-- {name} -->\n", f"\n<!-- end of {name} -->"
        places = [file for file, text in pages.items() if start in text and end in text]
        if len(places) != 1:
            parser.error(f"folder: {len(places)} pages have the marks of {name!r}; one must")
        before, rest = pages[places[0]].split(start, 1)
        table = "\n".join(["", *lines, ""])
        pages[places[0]] = before + start + table + end + rest.split(end, 1)[1]
    for file, text in pages.items():
        write_text(file, text)


if __name__ == "__main__":
    main()
