"""A learner between two sessions, as a server uses it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import ceil
from pathlib import Path

import torch
from torch import Tensor

from lord.config import UserError, first_line
from lord.learner import STATE_FILE, Learner
from lord.learner.snapshots import kept_before
from lord.methods import calibrated
from lord.storage import digest_of, has_state, load_state, previous

Stamp = tuple[int, int, int]
"""What tells a file from the next one of its name: inode, time and size."""


def stamp(file: Path) -> Stamp | None:
    """Return the stamp of a file; None if it cannot be found."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


@dataclass(frozen=True)
class Answer:
    """What a learner says of one image.

    Attributes:
        top: the most likely classes with their probabilities, the most likely one first.
        unknown: how unusual the image is, from 0 to 1; None unless it was asked for.
    """

    top: list[tuple[str, float]]
    unknown: float | None = None


@dataclass(frozen=True)
class Served:
    """A learner between two sessions.

    Attributes:
        learner: it is only asked, by one thread at a time.
        version: beginning of the checkpoint's checksum. It differs where anything differs.
        notes: what to tell the operator, such as that an older checkpoint was read.
    """

    learner: Learner
    version: str
    notes: list[str] = field(default_factory=list)

    @property
    def session(self) -> int:
        """Number of the last session."""
        return len(self.learner.sessions)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of the images."""
        assert self.learner.shape is not None
        return self.learner.shape

    @cached_property
    def known(self) -> Tensor:
        """Scores of images that were not learned. They calibrate ``Answer.unknown``."""
        return self.learner.known_scores()

    def answer(self, images: Tensor, top: Sequence[int], unknown: Sequence[bool]) -> list[Answer]:
        """Return what the learner says of N x C x H x W uint8 images.

        Args:
            top, unknown: for each image, how many classes to tell, and whether to tell how unusual
                the image is.
        """
        probabilities = torch.from_numpy(self.learner.predict_proba(images))
        count = min(max(top), len(self.learner.classes))
        values, labels = (each.tolist() for each in probabilities.topk(count, 1))
        scores: list[float | None] = [None] * len(images)
        if any(unknown):
            scores = calibrated(self.learner.unknown_scores(images), self.known).tolist()
        answers = []
        for row, (most, asked) in enumerate(zip(top, unknown, strict=True)):
            names = [self.learner.classes[label] for label in labels[row][:most]]
            pairs = list(zip(names, values[row][:most], strict=True))
            answers.append(Answer(pairs, scores[row] if asked else None))
        return answers

    def check_rate(self, rate: float) -> None:
        """Check that there are enough held-out images for a share of false alarms.

        Raises:
            UserError: if not.
        """
        images = len(self.known)
        if rate < (least := 1 / (images + 1)):
            raise UserError(
                field="false_alarms",
                given=rate,
                allowed=f"at least {ceil(1000 * least) / 1000:g}, with {images} held-out images",
            )


def load_served(folder: Path, *, older: bool = True) -> Served | None:
    """Read the learner in a folder as its last finished session left it.

    A session that is running, or was interrupted, writes checkpoints of a model that has learned
    half of its images. They are not used. The learner before that session is.

    Args:
        folder: the learner's folder.
        older: read the checkpoint before a damaged one.

    Returns:
        The learner; None if no session has ended yet.

    Raises:
        UserError: if no checkpoint is whole, or if one is damaged and ``older`` is not set.
    """
    served = _load(folder / STATE_FILE, older)
    if served.learner.unfinished is None:
        return served
    file = kept_before(folder, served.session)
    return _load(file, older) if served.session and has_state(file) else None


def _load(file: Path, older: bool) -> Served:
    while True:
        before = stamp(file)
        state, note = load_state(file)
        version = digest_of(previous(file) if note or before is None else file)
        if stamp(file) == before:  # it was not replaced meanwhile
            break
    if note and not older:
        raise UserError(note.partition("; ")[0])
    try:
        learner = Learner.from_state(state["learner"])
    except UserError:
        raise
    except Exception as error:  # any value in the file may be wrong
        raise UserError(f"'{file}' does not hold a learner: {first_line(error)}") from None
    served = Served(learner, version[:12], [note] if note else [])
    if learner.sessions and learner.unfinished is None:
        _warm_up(served)
    return served


def _warm_up(served: Served) -> None:
    """Compute what the first request would wait for, and keep no features of later requests."""
    served.known.numel()  # the features of held-out images are on disk already
    if served.learner.backbone:
        served.learner.backbone.stores = False
    served.answer(torch.zeros((1, *served.shape), dtype=torch.uint8), [1], [True])
