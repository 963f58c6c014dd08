"""Labels under which a learner was given images before, and what replaces them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from lord.config import NothingNewError, RefusedError
from lord.data import BadFilesError, Labelled, files_of_classes, load_readable
from lord.learner.intake import match_channels
from lord.learner.learner import Learner
from lord.learner.seen import digest_of
from lord.methods import forget_images


def with_old_copies(learner: Learner, given: Labelled, source: Path) -> Labelled:
    """Add files in which pictures with a new label are still in the class of their old one.

    With them, such a picture is seen to be in two classes. Without any, it was moved.

    Args:
        learner: the learner before a session.
        given: some images of a folder, as the learner gets them.
        source: the folder.
    """
    if learner.shape is None or learner.unfinished is not None:
        return given
    digests, seen = [digest_of(image) for image in given.images], learner.seen
    before = {
        digest: learner.classes[seen.labels[row]]
        for row, digest, label in zip(seen.find(digests), digests, given.labels, strict=True)
        if row >= 0 and learner.classes[seen.labels[row]] != label
    }
    if not before:
        return given
    # Other classes are not read, because a folder that grows may be large.
    rest = files_of_classes(source, set(before.values())) - set(given.files)
    try:
        old = match_channels(load_readable(source, learner.shape[1], rest), learner)
    except (NothingNewError, BadFilesError, RefusedError):  # none is left that was learned
        return given
    rows = [row for row, image in enumerate(old.images) if digest_of(image) in before]
    return replace(
        given,
        images=torch.cat([given.images, old.images[rows]]),
        labels=given.labels + [old.labels[row] for row in rows],
        files=given.files + [old.files[row] for row in rows],
    )


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
