"""Tables with a row for each variant: means and standard deviations over seeds."""

import statistics
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.box import SIMPLE_HEAD
from rich.table import Table

from lord.evaluation import RunRecord
from lord.reporting.names import Shown, as_text, full_name, read_text, short_names

CONVENTION = (
    "Mean ± standard deviation over seeds; accuracies in %. "
    "FLOPs count every forward and backward pass of training, teacher search and the recomputing "
    "of statistics; a multiply-add is 2 FLOPs. Evaluation is not included. "
    "'re': with batch-norm statistics recomputed on the buffer. "
    "*: the accuracy that counts for the method (its headline)."
)
UNCOUNTED = 0.01
"""Share of a pass's FLOPs that may be missed without a warning, such as small products."""

Pick = Callable[[RunRecord], float | None]
"""A function that returns a value of a record; None if the record does not have it."""
Kind = frozenset[tuple[str, object]]
"""Settings that runs have in common, with their values."""


@dataclass(frozen=True)
class Row:
    """The runs of one variant, which differ only in their seed.

    Attributes:
        name: short and unique among the rows.
        curve: short name without the epochs, shared by the rows of a curve over budgets.
        variant: the method and its settings. They include those that distinguish it from other
            runs with the same label.
        records: a record for each seed.
    """

    name: str
    curve: str
    variant: Shown
    records: tuple[RunRecord, ...]

    @property
    def label(self) -> str:
        """The variant as users type it: ``lord+:pace=4:epochs=3``."""
        return self.variant.text

    @property
    def family(self) -> str:
        """The variant without its epochs, as users type it."""
        return without_epochs(self.variant).text

    def mean(self, pick: Pick) -> float | None:
        """Return the mean over seeds; None if a run has no value."""
        values = [value for value in map(pick, self.records) if value is not None]
        return statistics.fmean(values) if len(values) == len(self.records) else None

    def spread(self, pick: Pick) -> float | None:
        """Return the sample standard deviation over seeds; None for one seed."""
        values = [value for value in map(pick, self.records) if value is not None]
        return statistics.stdev(values) if len(values) > 1 else None

    def show(self, pick: Pick, form: str = ".1f") -> str:
        """Return mean ± standard deviation as text."""
        mean, spread = self.mean(pick), self.spread(pick)
        if mean is None:
            return "-"
        return f"{mean:{form}}" if spread is None else f"{mean:{form}} ± {spread:{form}}"


def label_of(record: RunRecord) -> str:
    """Return the label of a record's variant; the oldest records have only a method."""
    return record.label or record.method


def variant_of(record: RunRecord) -> Shown:
    """Return the variant of a record: from its data, or from its label in old records."""
    label, method = label_of(record), record.method
    if label != method and not label.startswith(f"{method}:"):
        return Shown(method, as_text(record.variant or {}), name=label)
    return read_text(label) if record.variant is None else Shown(method, as_text(record.variant))


def without_epochs(variant: Shown) -> Shown:
    """Return a variant without the number of epochs."""
    settings = {name: value for name, value in variant.settings.items() if name != "epochs"}
    return variant._replace(settings=settings)


def summarise(records: Sequence[RunRecord]) -> list[Row]:
    """Return a row for each variant, the cheapest first.

    Runs of a variant that differ in more than the seed get separate rows. The settings that differ
    are added to the row's settings. A repetition of the same run also gets a separate row.
    """
    groups: dict[str, list[RunRecord]] = {}
    for record in records:
        groups.setdefault(label_of(record), []).append(record)
    found: list[tuple[Shown, list[RunRecord]]] = []
    for runs in groups.values():
        variant = variant_of(runs[0])
        for more, like in _alike(runs):
            settings = {**variant.settings, **more}
            found.append((variant._replace(settings=settings), like))
    names = short_names([variant for variant, _ in found])
    curves = short_names([without_epochs(variant) for variant, _ in found])
    rows = [
        Row(name, curve, variant, tuple(runs))
        for name, curve, (variant, runs) in zip(names, curves, found, strict=True)
    ]
    return sorted(rows, key=lambda row: row.mean(_flops) or 0)


def _alike(records: Sequence[RunRecord]) -> list[tuple[dict[str, str], list[RunRecord]]]:
    """Group runs that differ only in their seed. Each group has the settings that distinguish it.

    A group has each seed at most once. A repetition of a run goes to another group.
    """
    known = set.intersection(*(set(record.settings) for record in records))
    groups: dict[Kind, list[RunRecord]] = {}
    times: Counter[tuple[int, Kind]] = Counter()
    for record in records:
        kind = _kind(record, known)
        times[record.seed, kind] += 1
        if (time := times[record.seed, kind]) > 1:
            kind |= {("repeat", time)}
        groups.setdefault(kind, []).append(record)
    common = frozenset.intersection(*groups)
    return [(as_text(dict(sorted(kind - common))), runs) for kind, runs in groups.items()]


def _kind(record: RunRecord, known: Collection[str]) -> Kind:
    """Return the values that runs of different seeds must have in common.

    Args:
        known: the settings to compare; records of old versions hold fewer of them.
    """
    own: dict[str, object] = {n: v for n, v in record.settings.items() if n in known}
    own |= {"preset": record.preset, "tasks": len(record.matrices.class_il)}
    own |= {"epochs": record.epochs, "parameters": record.params}
    return frozenset(own.items())


def _flops(record: RunRecord) -> float:
    return record.training_flops


def reference_of(rows: Sequence[Row], against: str | None = None) -> Row:
    """Return the row that the others are compared with.

    It is the variant with the label ``against``. Without one, it is the most expensive der++;
    without der++, it is the first row.
    """
    named = [row for row in rows if label_of(row.records[0]) == against]
    derpp = [row for row in rows if row.variant.method == "der++"]
    return (named or derpp[-1:] or list(rows))[0]


def _cells(rows: Sequence[Row], reference: Row) -> tuple[list[str], list[list[str]]]:
    """Return the head and the body of the table."""
    base = reference.mean(_flops) or 1
    plain = reference.name == reference.variant.method
    name = reference.name if plain else "reference"
    head = ["method", "seeds", "Class-IL", "Task-IL", "Class-IL re", "Task-IL re", "forgetting"]
    head += ["training FLOPs", f"of {name}", "seconds", "state MB"]
    body = []
    for row in rows:
        again = row.records[0].statistics == "recomputed"
        star, star_again = ("", "*") if again else ("*", "")
        recomputed = row.show(lambda r: r.class_il_recomputed)
        flops = row.mean(_flops) or 0
        body.append(
            [
                row.name,
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


def legend(rows: Sequence[Row]) -> list[list[str]]:
    """Return name and settings of each row with settings that its name leaves out."""
    return [[row.name, row.variant.about] for row in rows if row.name != full_name(row.variant)]


def grid(head: Sequence[str], body: Sequence[Sequence[str]], numbers: bool = True) -> str:
    """Return a Markdown table.

    Args:
        head: names of the columns.
        body: the cells of each row.
        numbers: align all columns except the first right.
    """
    rule = ["---"] + ["---:" if numbers else "---"] * (len(head) - 1)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *body))


def markdown(rows: Sequence[Row], reference: Row | None = None) -> str:
    """Return the table as Markdown, followed by its convention and the settings of variants."""
    parts = [grid(*_cells(rows, reference or reference_of(rows))), CONVENTION]
    if shown := legend(rows):
        parts.append(grid(["variant", "settings"], shown, numbers=False))
    return "\n\n".join(parts)


def missing(rows: Sequence[Row]) -> str | None:
    """Return a warning if not all FLOPs are counted, else None."""
    shares = {row.name: max(record.uncounted for record in row.records) for row in rows}
    if max(shares.values(), default=0) < UNCOUNTED:
        return None
    missed = ", ".join(f"{name} {s:.0%}" for name, s in shares.items() if s >= UNCOUNTED)
    return (
        "Not all FLOPs are counted: the network computes outside convolutions and linear layers. "
        f"Missing share of a forward pass: {missed}."
    )


def terminal(rows: Sequence[Row]) -> Table:
    """Return the table for a terminal, with the settings of variants below it."""
    head, body = _cells(rows, reference_of(rows))
    shown = [head.index(name) for name in head if name not in ("seeds", "forgetting", "state MB")]
    caption = "\n".join(f"{name}: {settings}" for name, settings in legend(rows))
    table = Table(box=SIMPLE_HEAD, padding=0, pad_edge=False, collapse_padding=True)
    table.caption, table.caption_justify = caption or None, "left"
    for place in shown:
        name = head[place].replace("training ", "").replace(" re", "\nre").replace("seconds", "s")
        name = "ratio" if name.startswith("of ") else name
        justify: Literal["left", "right"] = "right" if place else "left"
        table.add_column(name, justify=justify, no_wrap=place > 0, overflow="fold")
    for cells in body:
        table.add_row(*(cells[place] for place in shown))
    return table
