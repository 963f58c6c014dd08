"""One session of a learner: where it is, what it costs, what it leaves behind."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec
from torch import Tensor

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
        total: steps it will have; 0 until that is settled.
        done: steps so far.
        order: of the images in this pass; None before one starts.
        place: batches of this pass that are done.
        before: seconds and FLOPs spent before the first step.
    """

    session: Session
    total: int = 0
    done: int = 0
    order: Tensor | None = None
    place: int = 0
    before: tuple[float, int] = (0.0, 0)


@contextmanager
def billed(session: Session, count: FlopCount) -> Iterator[None]:
    """What happens inside is on the session's account."""
    start, before = time.perf_counter(), count.total
    yield
    session.seconds += time.perf_counter() - start
    session.flops += count.total - before
