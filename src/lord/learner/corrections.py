"""Replace labels under which a learner was given images before."""

from collections.abc import Sequence

import torch
from torch import Tensor

from lord.learner.learner import Learner
from lord.methods import forget_images


def forget_old_labels(learner: Learner, images: Tensor, labels: Sequence[str]) -> None:
    """Forget images that were learned under other labels than those they are to have now.

    A closed-form head subtracts them, and a buffer loses them. Trained weights stay.

    Args:
        learner: the learner before a session.
        images: images of the session, N x C x H x W uint8.
        labels: class name of each.
    """
    rows, seen = learner.seen.rows(images), learner.seen
    before = [learner.classes[seen.labels[row]] if row >= 0 else None for row in rows.tolist()]
    pairs = zip(before, labels, strict=True)
    wrong = images[torch.tensor([old not in (None, label) for old, label in pairs])]
    wrong = wrong[learner.held_out.rows_to_learn(wrong)]
    learned, numbers = seen.times(wrong)
    if learner.method is not None and len(numbers):
        outputs = torch.tensor(learner.outputs)[numbers]
        forget_images(learner.method, learner._given(learned), outputs)
        seen.forget(wrong)


def correct_held_out(learner: Learner, images: Tensor, labels: Sequence[str]) -> int:
    """Correct the labels of held-out images, if a session would have no other images.

    Returns:
        How many labels changed; 0 if there is something to learn.
    """
    if not learner.sessions or len(learner.held_out.rows_to_learn(images)):
        return 0
    if learner.unfinished or not set(labels) <= set(learner.classes):
        return 0
    numbers = torch.tensor([learner.classes.index(label) for label in labels])
    before = learner.held_out.columns["labels"].clone()
    learner.held_out.set_aside(images, numbers, len(learner.sessions) - 1)
    learner.seen.add(images, numbers, len(learner.sessions) - 1)
    return int((learner.held_out.columns["labels"] != before).sum())
