"""Whether rows kept to their budget of FLOPs for each task."""

from collections.abc import Iterable

from lord.evaluation import RunRecord
from lord.reporting.rows import Row

TOLERANCE = 0.01
"""Largest share of a budget by which a task may miss it without a warning."""


def missed_budgets(rows: Iterable[Row]) -> str | None:
    """Return a warning that names the rows that missed their FLOPs per task, else None."""
    misses = {row.name: max(map(largest_miss, row.records)) for row in rows}
    parts = [f"{name} {miss:.1%}" for name, miss in misses.items() if miss > TOLERANCE]
    if not parts:
        return None
    return (
        "Not all tasks have spent their FLOPs to 1 %: a step costs more than that, or the method "
        f"stopped early. Largest difference: {', '.join(parts)}. A larger `flops_per_task` is met "
        "more closely."
    )


def largest_miss(record: RunRecord) -> float:
    """Return the largest difference of a task's FLOPs from the budget, as a share of it."""
    budget = record.settings.get("flops_per_task")
    if not record.task_flops or not isinstance(budget, int | float):
        return 0.0
    budget *= len(record.matrices.class_il[-1]) / len(record.task_flops)  # with 'joint', all tasks
    return max(abs(spent / budget - 1) for spent in record.task_flops)
