"""One session of a learner: where it is, what it costs, what it leaves behind."""

import hashlib
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec
from torch import Tensor

from lord.config import UserError
from lord.costs import FlopCount


class Session(msgspec.Struct):
    """What a session leaves behind.

    Attributes:
        key: names it.
        images: given, those of the exam included.
        new_classes: first met in it.
        level: of the student, after it; None for methods without levels.
        steps: of learning.
        seconds: spent on learning; exams are apart.
        flops: likewise.
        exam: accuracy on the exam images of each session so far, in percent, after this one; nan
            for a session that has none.
    """

    key: str
    images: int
    new_classes: list[str]
    level: int | None = None
    steps: int = 0
    seconds: float = 0.0
    flops: int = 0
    exam: list[float] = []


@dataclass
class Course:
    """A session under way: where it is.

    Attributes:
        session: what it will leave behind.
        given: fingerprint of its images and labels.
        total: steps it will have; 0 until that is settled.
        done: steps so far.
        order: of the images in this pass; None before one starts.
        place: batches of this pass that are done.
        before: seconds and FLOPs spent before the first step.
    """

    session: Session
    given: str
    total: int = 0
    done: int = 0
    order: Tensor | None = None
    place: int = 0
    before: tuple[float, int] = (0.0, 0)


def class_names(labels: Sequence[str]) -> list[str]:
    """The labels as plain strings.

    Raises:
        UserError: where one is no name.
    """
    if wrong := [label for label in labels if not isinstance(label, str)]:
        raise UserError(f"labels: expected the name of each image's class, got {wrong[0]!r}")
    return [str(label) for label in labels]  # numpy has a kind of its own


def fingerprint(images: Tensor, labels: Sequence[str]) -> str:
    """Differs where images or labels do."""
    digest = hashlib.blake2b("\0".join(labels).encode(), digest_size=16)
    digest.update(images.cpu().contiguous().numpy().data)
    return digest.hexdigest()


@contextmanager
def billed(session: Session, count: FlopCount) -> Iterator[None]:
    """What happens inside is on the session's account."""
    start, before = time.perf_counter(), count.total
    yield
    session.seconds += time.perf_counter() - start
    session.flops += count.total - before


def told(images: object) -> str:
    """What was given as images, in words."""
    return f"a {type(images).__name__} of {getattr(images, 'dtype', 'no dtype')}"
