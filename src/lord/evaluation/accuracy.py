"""The accuracy matrix and its summaries. Row i: after task i; column j: on task j's test images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lord.streams import Task

Matrix = Sequence[Sequence[float]]
"""Rows may be ragged: only tasks seen are scored."""


@dataclass(frozen=True)
class Scores:
    """Accuracy in percent on each task seen, in both settings."""

    class_il: list[float]
    task_il: list[float]


@torch.no_grad()
def score(
    predict: Callable[[Tensor], Tensor],
    test: Sequence[Task],
    seen: int,
    batch: int = 256,
) -> Scores:
    """Score predictions on each task's test images.

    Class-IL: the largest logit among all classes of the tasks given. Task-IL: among the image's
    own task's classes.

    Args:
        predict: N x C x H x W uint8 images to N x classes logits.
        test: test splits of the tasks seen so far.
        seen: number of classes seen so far; they are labels 0 to seen - 1.
        batch: images a call.
    """
    class_il, task_il = [], []
    for task in test:
        right = torch.zeros(2, device=task.labels.device, dtype=torch.int64)
        first, last = task.classes[0], task.classes[-1] + 1
        parts = zip(task.images.split(batch), task.labels.split(batch), strict=True)
        for images, labels in parts:
            logits = predict(images)
            guesses = (
                logits[:, :seen].argmax(1),
                logits[:, first:last].argmax(1) + first,
            )
            right += torch.stack([(guess == labels).sum() for guess in guesses])
        shares = (100 * right / max(len(task.labels), 1)).tolist()
        class_il.append(shares[0])
        task_il.append(shares[1])
    return Scores(class_il, task_il)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def final_average(matrix: Matrix) -> float:
    """Mean accuracy over tasks after the last one.

    >>> final_average([[90], [50, 80]])
    65.0
    """
    return _mean(matrix[-1])


def average_incremental(matrix: Matrix) -> float:
    """Mean over task ends of the mean accuracy on the tasks seen by then.

    >>> average_incremental([[90], [50, 80]])
    77.5
    """
    return _mean([_mean(row) for row in matrix])


def forgetting(matrix: Matrix) -> float | None:
    """Mean over all tasks but the last of (best accuracy ever - last accuracy).

    None where there is only one row.

    >>> forgetting([[90], [50, 80]])
    40.0
    """
    if len(matrix) < 2:
        return None
    last = matrix[-1]
    best = [max(row[j] for row in matrix if len(row) > j) for j in range(len(last) - 1)]
    return _mean([b - f for b, f in zip(best, last, strict=False)])
