"""The result of a comparison in one sentence."""

from collections.abc import Sequence

from lord.evaluation import RunRecord
from lord.reporting.rows import Row, reference_of, summarise


def conclusion(records: Sequence[RunRecord]) -> str:
    """Return one sentence about the cheapest method that is as accurate as the reference.

    The reference is the most expensive der++; without der++, the cheapest method. If no cheaper
    method is as accurate, the sentence says that.
    """
    rows = summarise(records)
    reference = reference_of(rows)
    number = len(reference.records)
    seeds = f"{number} seed{'s' if number > 1 else ''}"
    if len(rows) == 1:
        cost = f"{_flops(reference):.3g} training FLOPs"
        return f"{reference.name} reached {_accuracy(reference)} Class-IL with {cost} ({seeds})."
    known = f"{reference.name} ({_accuracy(reference)}, {seeds})"
    for row in rows:  # the cheapest first
        if _flops(row) < _flops(reference) and _headline(row) >= _headline(reference):
            share = _flops(row) / _flops(reference)
            cost = f"{share:.2f} of the training FLOPs of {known}"
            return f"{row.name} reached {_accuracy(row)} Class-IL at {cost}."
    return f"No cheaper method was as accurate as {known}."


def _accuracy(row: Row) -> str:
    return f"{row.show(lambda record: record.headline[0])} %"


def _headline(row: Row) -> float:
    return row.mean(lambda record: record.headline[0]) or 0.0


def _flops(row: Row) -> float:
    return row.mean(lambda record: record.training_flops) or 0.0
