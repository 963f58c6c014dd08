"""Scoring predictions on the tasks' test images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from lord.config import UserError
from lord.streams import Task

BINS = 15
"""Of confidence, for the calibration error."""


@dataclass(frozen=True)
class Scores:
    """What predictions are worth, in percent.

    Attributes:
        class_il: accuracy on each task, the largest logit among all classes seen.
        task_il: among the classes of the image's own task.
        calibration: expected calibration error over all images in Class-IL: mean distance between
            confidence and accuracy over 15 bins of confidence (Guo et al. 2017).
        recency: share of the images of earlier tasks taken for a class of the newest; None where
            the newest task has no classes of its own.
        confusion: images of each class (row) taken for each class seen (column), in Class-IL.
    """

    class_il: list[float]
    task_il: list[float]
    calibration: float
    recency: float | None
    confusion: list[list[int]] = field(default_factory=list)


@torch.no_grad()
def score(
    predict: Callable[[Tensor], Tensor],
    test: Sequence[Task],
    seen: int,
    batch: int = 256,
) -> Scores:
    """Score predictions on each task's test images.

    Args:
        predict: N x C x H x W uint8 images to N x classes logits.
        test: test splits of the tasks seen so far.
        seen: number of classes seen so far; they are labels 0 to seen - 1.
        batch: images a call.
    """
    device = test[0].labels.device
    newest = torch.zeros(seen, dtype=torch.bool, device=device)
    newest[list(test[-1].classes)] = True
    fresh = len(test) > 1 and not any(
        set(test[-1].classes) & set(task.classes) for task in test[:-1]
    )
    bins = torch.zeros(3, BINS, device=device, dtype=torch.float64)  # images, confidence, right
    confusion = torch.zeros(seen * seen, device=device, dtype=torch.int64)
    accuracies = []
    for task in test:
        own = torch.tensor(task.classes, device=device)
        right = torch.zeros(2, device=device, dtype=torch.int64)
        parts = zip(task.images.split(batch), task.labels.split(batch), strict=True)
        for images, labels in parts:
            logits = predict(images)
            wrong = not isinstance(logits, Tensor) or logits.dim() != 2
            if wrong or len(logits) != len(images) or logits.shape[1] <= int(own.max()):
                has = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
                raise UserError(f"predict: expected {len(images)} x classes logits, got {has}")
            logits = logits.float()
            confidence, guess = logits[:, :seen].softmax(1).nan_to_num().max(1)
            hits = guess == labels
            right += torch.stack([hits.sum(), (own[logits[:, own].argmax(1)] == labels).sum()])
            confusion.index_add_(0, labels * seen + guess, torch.ones_like(labels))
            place = (confidence * BINS).long().clamp(max=BINS - 1)
            values = torch.stack([torch.ones_like(confidence), confidence, hits.float()])
            bins.index_add_(1, place, values.double())
        accuracies.append((100 * right / max(len(task.labels), 1)).tolist())
    error = 100 * (bins[1] - bins[2]).abs().sum() / bins[0].sum().clamp(min=1)
    class_il, task_il = (list(column) for column in zip(*accuracies, strict=True))
    table, recency = confusion.view(seen, seen), None
    if fresh:
        others = table[~newest]  # images of earlier tasks: none is of a class of the newest
        recency = 100 * others[:, newest].sum().item() / max(others.sum().item(), 1)
    return Scores(class_il, task_il, error.item(), recency, table.tolist())
