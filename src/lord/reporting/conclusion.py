"""The result of a comparison in one sentence."""

from collections.abc import Sequence

from lord.evaluation import RunRecord
from lord.reporting.rows import Row, reference_of, summarise


def conclusion(records: Sequence[RunRecord]) -> str:
    """Return one sentence about the cheapest method that is as accurate as the reference.

    The reference is the most expensive der++; without der++, the most accurate method. If no
    cheaper method is as accurate, the sentence says that. If all methods had the same FLOPs to
    spend, the sentence names the most accurate one.
    """
    rows = summarise(records)
    if len(rows) > 1 and (budget := _shared_budget(records)):
        best, *others = sorted(rows, key=_headline, reverse=True)
        return (
            f"At {budget:.3g} FLOPs per task, {best.name} was the most accurate "
            f"({_accuracy(best)}), before {others[0].name} ({_accuracy(others[0])})."
        )
    reference = reference_of(rows)
    if reference.variant.method != "der++":
        reference = max(rows, key=_headline)
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


def _shared_budget(records: Sequence[RunRecord]) -> float | None:
    """Return the FLOPs per task that all runs had to spend; None if there is no such number."""
    budgets = {record.settings.get("flops_per_task") for record in records}
    budget = budgets.pop() if len(budgets) == 1 else None
    return budget if isinstance(budget, int | float) else None


def _accuracy(row: Row) -> str:
    return f"{row.show(lambda record: record.headline[0])} %"


def _headline(row: Row) -> float:
    return row.mean(lambda record: record.headline[0]) or 0.0


def _flops(row: Row) -> float:
    return row.mean(lambda record: record.training_flops) or 0.0
