"""Summaries of the accuracy matrix. Row i: after task i; column j: on task j's test images."""

from collections.abc import Sequence

Matrix = Sequence[Sequence[float]]
"""Rows may differ in length, because only the tasks seen are scored."""


def mean(values: Sequence[float]) -> float:
    """Return the mean of one or more values."""
    return sum(values) / len(values)


def final_average(matrix: Matrix) -> float:
    """Return the mean accuracy over tasks after the last one.

    >>> final_average([[90], [50, 80]])
    65.0
    """
    return mean(matrix[-1])


def average_incremental(matrix: Matrix) -> float:
    """Return the mean, over the ends of tasks, of the mean accuracy on the tasks seen by then.

    >>> average_incremental([[90], [50, 80]])
    77.5
    """
    return mean([mean(row) for row in matrix])


def forgetting(matrix: Matrix) -> float | None:
    """Return the mean drop from the best earlier to the last accuracy, over all tasks but the last.

    It is negative if tasks improve after they ended (Chaudhry et al. 2018, arXiv:1801.10112).
    None for a matrix of one row.

    >>> forgetting([[90], [50, 80]])
    40.0
    """
    if len(matrix) < 2:
        return None
    last = matrix[-1]
    best = [max(row[j] for row in matrix[:-1] if len(row) > j) for j in range(len(matrix) - 1)]
    return mean([b - f for b, f in zip(best, last, strict=False)])


def backward_transfer(matrix: Matrix) -> float | None:
    """Return the mean change of accuracy since each task ended, over all tasks but the last.

    It is negative if tasks are forgotten (Lopez-Paz and Ranzato 2017). None for a matrix of one
    row.

    >>> backward_transfer([[90], [50, 80], [60, 85, 70]])
    -12.5
    """
    if len(matrix) < 2:
        return None
    return mean([matrix[-1][j] - matrix[j][j] for j in range(len(matrix) - 1)])


def forward_transfer(before: Sequence[float], untrained: Sequence[float]) -> float | None:
    """Return how much earlier tasks help on the next one, as a mean over all tasks but the first.

    For each task it is the accuracy just before training on it, minus that of the network as
    initialised (Lopez-Paz and Ranzato 2017, arXiv:1706.08840). None for fewer than two tasks.

    Args:
        before: accuracy on each task just before training on it.
        untrained: accuracy on each task of the network as initialised.

    >>> forward_transfer([50, 60, 70], [50, 50, 52])
    14.0
    """
    if len(before) < 2:
        return None
    return mean([b - u for b, u in zip(before[1:], untrained[1:], strict=True)])


def minimum_accuracy(
    matrix: Matrix, between: Sequence[tuple[int, Sequence[float]]]
) -> float | None:
    """Return the mean, over all tasks but the last, of the lowest accuracy since each task ended.

    De Lange et al. 2023, arXiv:2205.13452. None for a matrix of one row.

    Args:
        matrix: accuracies after each task.
        between: accuracies within tasks. Each entry has the index of the task in training, and the
            accuracy on each task seen, including that one.

    >>> minimum_accuracy([[90], [50, 80]], [(0, [20]), (1, [30, 60])])
    30.0
    """
    if len(matrix) < 2:
        return None
    rows = [*enumerate(matrix), *between]
    return mean([min(row[j] for task, row in rows if task > j) for j in range(len(matrix) - 1)])


def stability_gap(matrix: Matrix, between: Sequence[tuple[int, Sequence[float]]]) -> float | None:
    """Return how far the accuracy on old tasks drops within a task, over all tasks but the first.

    The drop goes from the mean accuracy on the old tasks when the task begins to the lowest mean
    accuracy on them within the task. None for a matrix of one row.

    Args:
        matrix: as for ``minimum_accuracy``.
        between: as for ``minimum_accuracy``.

    >>> stability_gap([[90], [50, 80]], [(1, [30, 60])])
    60.0
    """
    if len(matrix) < 2:
        return None
    drops = []
    for i in range(1, len(matrix)):
        rows = [row for task, row in [*between, (i, matrix[i])] if task == i]
        drops.append(mean(matrix[i - 1]) - min(mean(row[:i]) for row in rows))
    return mean(drops)
