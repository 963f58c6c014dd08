"""Measures of a stream in progress: accuracy on the next batch, and accuracy at any time."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


@torch.no_grad()
def hits(predict: Callable[[Tensor], Tensor], images: Tensor, labels: Tensor, seen: int) -> Tensor:
    """Count right predictions on a batch, in Class-IL. The device is not waited for.

    Args:
        predict: maps N x C x H x W uint8 images to N x classes logits.
        images: N x C x H x W uint8.
        labels: N int64.
        seen: number of classes seen so far, with those of the batch.

    Returns:
        Right predictions and predictions, 2 int64.
    """
    right = (predict(images)[:, :seen].argmax(1) == labels).sum()
    return torch.stack([right, torch.full_like(right, len(labels))])


def overall_accuracy(confusion: Sequence[Sequence[int]]) -> float:
    """Return the share of all images that are predicted right, in percent.

    >>> overall_accuracy([[3, 1], [0, 0]])
    75.0

    Args:
        confusion: number of images of each class (row) predicted as each class (column).
    """
    right = sum(row[place] for place, row in enumerate(confusion))
    return 100 * right / max(sum(map(sum, confusion)), 1)


def area_under_accuracy(anytime: Sequence[tuple[int, float]]) -> float | None:
    """Return the area under the accuracy over the stream, A_AUC (Koh et al. 2022).

    It is the mean accuracy over evaluations at equal intervals (arXiv:2110.10031). None without
    any.

    >>> area_under_accuracy([(64, 50.0), (128, 70.0)])
    60.0

    Args:
        anytime: images learned, and accuracy on all test images of the tasks seen.
    """
    accuracies = [accuracy for _, accuracy in anytime]
    return sum(accuracies) / len(accuracies) if accuracies else None
