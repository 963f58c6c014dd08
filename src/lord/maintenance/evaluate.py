"""Measure how well a learner recognises labelled images."""

import heapq
from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec import structs
from torch import Tensor

from lord.config import UserError
from lord.evaluation.kept import Answer, Evaluation, Mistake, Unreadable, evaluation
from lord.learner import Learner
from lord.maintenance.pictures import Batch, labelled, picture

WORST = 20
"""Most mistakes that are shown."""


def evaluate_images(learner: Learner, source: Path, *, pictures: bool = False) -> Evaluation:
    """Return how well a learner recognises the images of a source.

    Classes that it does not know are counted apart, and so are images that it was given before.

    Args:
        learner: after a session.
        source: images by class, in any layout that ``lord data`` knows. If they have a test split,
            it is used.
        pictures: also return the mistakes as pictures.

    Raises:
        UserError: if the source has no known layout, or none of its images can be read.
    """
    unreadable: list[Unreadable] = []
    found = measured(learner, str(source), labelled(learner, source, unreadable), pictures)
    if not (found.images or found.strangers):
        raise UserError("none of its images can be read", field="folder", given=source)
    return structs.replace(found, unreadable=unreadable)


def held_out_evaluation(learner: Learner, *, pictures: bool = False) -> Evaluation | None:
    """Return how well a learner recognises its held-out images; None without any."""
    columns = learner.held_out.columns
    if not columns or not len(columns["labels"]):
        return None
    names = [f"held out in session {n + 1}" for n in columns["sessions"].tolist()]
    labels = [learner.classes[label] for label in columns["labels"].tolist()]
    parts = [Batch(names, labels, columns["images"])]
    return measured(learner, "held-out images", parts, pictures, apart=False)


def measured(
    learner: Learner, source: str, parts: Iterable[Batch], pictures: bool, *, apart: bool = True
) -> Evaluation:
    """Return how well a learner recognises labelled images.

    Args:
        learner: after a session.
        source: the images in words.
        parts: the images.
        pictures: also return the mistakes as pictures.
        apart: count images that the learner was given before apart.
    """
    worst: list[tuple[float, int, Answer, Tensor]] = []
    known = set(learner.classes)

    def answers() -> Iterator[Answer]:
        number = 0
        for names, labels, images in parts:
            seen = (learner.seen.rows(images) >= 0).tolist() if apart else [False] * len(images)
            found = zip(names, labels, learner.predictions(images), seen, images, strict=True)
            for name, label, guess, learned, image in found:
                answer = Answer(name, label, guess.label, guess.confidence, learned)
                number += 1
                if not answer.right and label in known:
                    heapq.heappush(worst, (guess.confidence, -number, answer, image))
                    if len(worst) > WORST:
                        heapq.heappop(worst)
                yield answer

    found = evaluation(source, learner.classes, answers())
    mistakes = [
        Mistake(
            file=answer.file,
            label=answer.label,
            predicted=answer.predicted,
            confidence=answer.confidence,
            picture=picture(image) if pictures else None,
        )
        for _, _, answer, image in sorted(worst, key=lambda each: each[:2], reverse=True)
    ]
    return structs.replace(found, worst=mistakes)
