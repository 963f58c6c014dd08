"""One row a method: mean and standard deviation over seeds."""

import statistics
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rich.box import SIMPLE_HEAD
from rich.table import Table

from lord.evaluation import RunRecord

CONVENTION = (
    "FLOPs: forward and backward of every pass of student, sub-network and teacher, teacher "
    "search and recomputed statistics; multiply-add = 2; evaluation apart. "
    "'re': with batch-norm statistics recomputed on the buffer. "
    "*: the method's headline. Mean ± standard deviation over seeds; accuracies in %."
)

UNCOUNTED = 0.01
"""Share of a pass's FLOPs that may be missed without a word: rounding, small products."""

Pick = Callable[[RunRecord], float | None]


def family_of(label: str) -> str:
    """The label without the number of epochs: what a curve over budgets joins.

    >>> family_of("lord:rho=0.5:epochs=3")
    'lord:rho=0.5'
    """
    return ":".join(part for part in label.split(":") if not part.startswith("epochs="))


@dataclass(frozen=True)
class Row:
    """A method's runs."""

    method: str
    """The method's name, or a variant's label."""
    records: tuple[RunRecord, ...]

    @property
    def family(self) -> str:
        return family_of(self.method)

    def mean(self, pick: Pick) -> float | None:
        """Mean over seeds; None where a run has no such value."""
        values = [value for value in map(pick, self.records) if value is not None]
        return statistics.fmean(values) if len(values) == len(self.records) else None

    def spread(self, pick: Pick) -> float | None:
        """Standard deviation over seeds (of the sample); None for one seed."""
        values = [value for value in map(pick, self.records) if value is not None]
        return statistics.stdev(values) if len(values) > 1 else None

    def show(self, pick: Pick, form: str = ".1f") -> str:
        mean, spread = self.mean(pick), self.spread(pick)
        if mean is None:
            return "-"
        return f"{mean:{form}}" if spread is None else f"{mean:{form}} ± {spread:{form}}"


def summarise(records: Sequence[RunRecord]) -> list[Row]:
    """A row a method, the cheapest first. Runs of a method that were not alike, such as those of
    separate commands, get rows of their own, named by what differs."""
    groups: dict[str, list[RunRecord]] = {}
    for record in records:
        groups.setdefault(record.label or record.method, []).append(record)
    rows = []
    for name, same in groups.items():
        alike: dict[frozenset[tuple[str, Any]], list[RunRecord]] = {}
        known = set.intersection(*(set(record.settings) for record in same))
        times: Counter[tuple[int, Any]] = Counter()
        for record in same:
            kind = _kind(record, known)
            times[record.seed, kind] += 1
            if (time := times[record.seed, kind]) > 1:  # a seed counts once in a mean
                kind |= {("time", time)}
            alike.setdefault(kind, []).append(record)
        common = frozenset.intersection(*alike)
        for kind, own in alike.items():
            marks = ", ".join(f"{mark}={value}" for mark, value in sorted(kind - common))
            rows.append(Row(f"{name} ({marks})" if marks else name, tuple(own)))
    return sorted(rows, key=lambda row: row.mean(lambda r: r.training_flops) or 0)


def _kind(record: RunRecord, known: Collection[str]) -> frozenset[tuple[str, Any]]:
    """What runs that differ in their seed alone have in common. known: settings to go by."""
    own = {name: value for name, value in record.settings.items() if name in known}
    tasks = len(record.matrices.class_il)
    own |= {"preset": record.preset, "tasks": tasks, "epochs": record.epochs}
    return frozenset((own | {"parameters": record.params}).items())


def reference_of(rows: Sequence[Row], against: str | None = None) -> Row:
    """What the others are compared with: the one named, the dearest der++, or the first."""
    named = [row for row in rows if row.method == against]
    derpp = [row for row in rows if row.method.partition(":")[0] == "der++"]
    return (named or derpp[-1:] or list(rows))[0]


def _cells(rows: Sequence[Row], reference: Row) -> tuple[list[str], list[list[str]]]:
    base = reference.mean(lambda r: r.training_flops) or 1
    head = ["method", "seeds", "Class-IL", "Task-IL", "Class-IL re", "Task-IL re", "forgetting"]
    name = "reference" if ":" in reference.method else reference.method
    head += ["training FLOPs", f"of {name}", "seconds", "state MB"]
    body = []
    for row in rows:
        again = row.records[0].statistics == "recomputed"
        star, star_again = ("", "*") if again else ("*", "")
        recomputed = row.show(lambda r: r.class_il_recomputed)
        flops = row.mean(lambda r: r.training_flops) or 0
        body.append(
            [
                row.method,
                str(len(row.records)),
                row.show(lambda r: r.class_il) + star,
                row.show(lambda r: r.task_il),
                recomputed + (star_again if recomputed != "-" else ""),
                row.show(lambda r: r.task_il_recomputed),
                row.show(lambda r: r.forgetting),
                f"{flops:.3g}",
                f"{flops / base:.3f}",
                f"{row.mean(lambda r: r.wall_s):.0f}",
                f"{(row.mean(lambda r: r.state_bytes) or 0) / 1e6:.1f}",
            ]
        )
    return head, body


def grid(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """A Markdown table; all columns but the first are numbers."""
    rule = ["---"] + ["---:"] * (len(head) - 1)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *body))


def markdown(rows: Sequence[Row], reference: Row | None = None) -> str:
    """The table as Markdown, its convention below."""
    return grid(*_cells(rows, reference or reference_of(rows))) + "\n\n" + CONVENTION


def missing(rows: Sequence[Row]) -> str | None:
    """What is to be said where FLOPs are not all counted."""
    shares = {row.method: max(record.uncounted for record in row.records) for row in rows}
    if max(shares.values(), default=0) < UNCOUNTED:
        return None
    said = ", ".join(f"{name} {s:.0%}" for name, s in shares.items() if s >= UNCOUNTED)
    return (
        "FLOPs are NOT all counted: the network computes outside of convolutions and linear "
        f"layers. Share of a forward pass that is missed: {said}."
    )


def terminal(rows: Sequence[Row]) -> Table:
    """The table for a terminal."""
    head, body = _cells(rows, reference_of(rows))
    shown = [head.index(name) for name in head if name not in ("seeds", "forgetting", "state MB")]
    table = Table(box=SIMPLE_HEAD, padding=0, pad_edge=False, collapse_padding=True)
    for place in shown:
        name = head[place].replace("training ", "").replace(" re", "\nre").replace("seconds", "s")
        name = "ratio" if name.startswith("of ") else name
        justify: Literal["left", "right"] = "right" if place else "left"
        table.add_column(name, justify=justify, no_wrap=place > 0, overflow="fold")
    for cells in body:
        table.add_row(*(cells[place] for place in shown))
    return table
