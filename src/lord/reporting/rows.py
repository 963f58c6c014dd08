"""Rows of a table: the runs of each variant, which differ only in their seed."""

import statistics
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from lord.evaluation import RunRecord
from lord.reporting.names import Shown, as_text, read_text, short_names
from lord.reporting.units import size

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

    def show_size(self, pick: Pick) -> str:
        """Return the mean of a number of bytes as text, and its standard deviation unless 0."""
        mean, spread = self.mean(pick), self.spread(pick)
        if mean is None:
            return "-"
        return f"{size(mean)} ± {size(spread)}" if spread else size(mean)


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
    return sorted(rows, key=lambda row: row.mean(flops_of) or 0)


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
    own |= {"epochs": record.epochs}
    if own.get("bytes") is not None:
        own.pop("buffer", None)  # it was fitted to the images, which differ between seeds
    if own.get("flops_per_task") is None and record.method in ("lord", "lord+", "lord-fused"):
        own.pop("passes", None)  # it decides the width for a budget only; its default has changed
    if "network" not in own:  # a record of an old version; a student's size can depend on the seed
        own["parameters"] = record.params
    return frozenset(own.items())


def flops_of(record: RunRecord) -> float:
    return record.training_flops


def reference_of(rows: Sequence[Row], against: str | None = None) -> Row:
    """Return the row that the others are compared with.

    It is the variant with the label ``against``. Without one, it is the most expensive der++;
    without der++, it is the first row.
    """
    named = [row for row in rows if label_of(row.records[0]) == against]
    derpp = [row for row in rows if row.variant.method == "der++"]
    return (named or derpp[-1:] or list(rows))[0]
