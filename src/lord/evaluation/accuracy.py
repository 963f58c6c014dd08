"""Score predictions on the test images of the tasks."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from lord.config import UserError
from lord.streams import Task

BINS = 15
"""Bins of confidence for the calibration error."""
TOP = 5
"""Number of guesses for an image in the top-5 accuracy."""


@dataclass(frozen=True)
class Scores:
    """Accuracies and other measures of predictions, in percent.

    Attributes:
        class_il: accuracy on each task, with predictions among all classes seen.
        task_il: accuracy on each task, with predictions among the classes of the image's task.
        calibration: expected calibration error over all images in Class-IL. It is the mean
            distance between confidence and accuracy over 15 bins of confidence (Guo et al. 2017).
        recency: share of the images of earlier tasks that are predicted as a class of the newest
            task. None for the first task, and where the newest task shares a class with another.
        confusion: number of images of each class (row) predicted as each class (column), in
            Class-IL.
        top5: share of each task's images with their class among the five highest logits of all
            classes seen. None for at most five classes.
    """

    class_il: list[float]
    task_il: list[float]
    calibration: float
    recency: float | None
    confusion: list[list[int]] = field(default_factory=list)
    top5: list[float] | None = None

    @property
    def short(self) -> "Scores":
        """The scores without the confusion."""
        return replace(self, confusion=[])

    @property
    def per_class(self) -> list[float | None]:
        """Class-IL accuracy on each class seen; None for a class without images."""
        counts = [(row[label], sum(row)) for label, row in enumerate(self.confusion)]
        return [100 * right / images if images else None for right, images in counts]


class Known:
    """The logits of images that several tasks have, so that each image is predicted once.

    They are those of one method in one state.
    """

    def __init__(self) -> None:
        self.logits = torch.empty(0, 0)
        self.known = torch.empty(0, dtype=torch.bool)

    def missing(self, rows: Tensor) -> Tensor:
        """Return the places in ``rows`` of images that were not predicted yet."""
        more = int(rows.max()) + 1 - len(self.known) if len(rows) else 0
        if more > 0:
            self.known = torch.cat([self.known.to(rows.device), rows.new_zeros(more).bool()])
        return (~self.known[rows]).nonzero().flatten()

    def store(self, rows: Tensor, logits: Tensor) -> None:
        """Store the logits of images by their rows."""
        more = len(self.known) - len(self.logits)
        if more > 0:
            grown = logits.new_empty(more, logits.shape[1])
            self.logits = torch.cat([self.logits, grown]) if len(self.logits) else grown
        self.logits[rows] = logits
        self.known[rows] = True


@torch.no_grad()
def score(
    predict: Callable[[Tensor], Tensor],
    test: Sequence[Task],
    seen: int,
    batch: int = 256,
    known: Known | None = None,
) -> Scores:
    """Score predictions on each task's test images.

    Args:
        predict: maps N x C x H x W uint8 images to N x classes logits.
        test: test splits of the tasks seen so far.
        seen: number of classes seen so far. They have the labels 0 to seen - 1.
        batch: images in each call of ``predict``.
        known: logits of earlier calls with the same ``predict``. Those of this call are added.

    Raises:
        UserError: if ``predict`` returns anything but logits for each image and class.
    """
    tally = _Tally(seen, test[0].labels.device)
    known, accuracies = known or Known(), []
    for task in test:
        classes = torch.tensor(task.classes, device=tally.device)
        right = torch.zeros(3, device=tally.device, dtype=torch.int64)
        for logits, labels in _predicted(predict, task, batch, known):
            right += tally.add(logits.float(), labels, classes)
        accuracies.append((100 * right / max(len(task.labels), 1)).tolist())
    class_il, task_il, top5 = (list(column) for column in zip(*accuracies, strict=True))
    confusion = tally.confusion.view(seen, seen)
    return Scores(
        class_il,
        task_il,
        tally.calibration(),
        _recency(confusion, test),
        confusion.tolist(),
        top5 if seen > TOP else None,
    )


def _predicted(
    predict: Callable[[Tensor], Tensor], task: Task, batch: int, known: Known
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield logits and labels of a task's images, in batches."""
    if task.rows is None:
        parts = zip(task.images.split(batch), task.labels.split(batch), strict=True)
        for images, labels in parts:
            logits = predict(images)
            _check_logits(logits, len(images), max(task.classes))
            yield logits, labels
        return
    for places in known.missing(task.rows).split(batch):
        logits = predict(task.images[places])
        _check_logits(logits, len(places), max(task.classes))
        known.store(task.rows[places], logits)
    for rows, labels in zip(task.rows.split(batch), task.labels.split(batch), strict=True):
        yield known.logits[rows], labels


class _Tally:
    """Counts over all images: confusion of classes, and confidence against accuracy."""

    def __init__(self, seen: int, device: torch.device) -> None:
        self.seen, self.device = seen, device
        self.confusion = torch.zeros(seen * seen, device=device, dtype=torch.int64)
        # Rows: number of images, sum of confidences, number of right predictions.
        self.bins = torch.zeros(3, BINS, device=device, dtype=torch.float64)

    def add(self, logits: Tensor, labels: Tensor, classes: Tensor) -> Tensor:
        """Count a batch, and return how many images are right in Class-IL, Task-IL and top-5."""
        confidence, guess = logits[:, : self.seen].softmax(1).nan_to_num().max(1)
        hits = guess == labels
        self.confusion.index_add_(0, labels * self.seen + guess, torch.ones_like(labels))
        place = (confidence * BINS).long().clamp(max=BINS - 1)
        values = torch.stack([torch.ones_like(confidence), confidence, hits.float()])
        self.bins.index_add_(1, place, values.double())
        within = classes[logits[:, classes].argmax(1)] == labels
        guesses = logits[:, : self.seen].nan_to_num(-torch.inf).topk(min(TOP, self.seen)).indices
        among = hits | (guesses == labels[:, None]).any(1)
        return torch.stack([hits.sum(), within.sum(), among.sum()])

    def calibration(self) -> float:
        """Return the expected calibration error in percent."""
        images, confidence, right = self.bins
        return (100 * (confidence - right).abs().sum() / images.sum().clamp(min=1)).item()


def _check_logits(logits: object, images: int, largest: int) -> None:
    """Check that ``predict`` returned a row for each image, with a logit for each class."""
    tensor = isinstance(logits, Tensor)
    shape = tuple(logits.shape) if isinstance(logits, Tensor) else ()
    if len(shape) == 2 and shape[0] == images and shape[1] > largest:
        return
    raise UserError(
        f"returned {shape if tensor else type(logits).__name__}",
        field="predict",
        allowed=f"logits of shape ({images}, classes), with at least {largest + 1} classes",
    )


def _recency(confusion: Tensor, test: Sequence[Task]) -> float | None:
    """Return ``Scores.recency``: the share of earlier images that are predicted as a new class."""
    newest = set(test[-1].classes)
    if len(test) < 2 or any(newest & set(task.classes) for task in test[:-1]):
        return None
    new = torch.zeros(len(confusion), dtype=torch.bool, device=confusion.device)
    new[list(test[-1].classes)] = True
    earlier = confusion[~new]  # images of earlier tasks; they have no new class
    share: float = 100 * earlier[:, new].sum().item() / max(earlier.sum().item(), 1)
    return share
