"""One session of a learner: where it is, what it costs, what it leaves behind."""

import hashlib
import time
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec
import torch
from torch import Tensor

from lord.config import UserError
from lord.costs import FlopCount
from lord.networks import seeded

STATE_FILE = "state.safetensors"
"""Checkpoint in the folder of a learner."""
PROBE = 4
"""Steps after which a budget's number of steps is first settled."""
SMALLEST = 4
"""Pixels of an image's side."""


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
        settled: after which step ``total`` was last settled, by a budget.
        spent: of the budget, by then.
        threads: of the CPU, when it began: their number decides the last bits.
    """

    session: Session
    given: str
    total: int = 0
    done: int = 0
    order: Tensor | None = None
    place: int = 0
    settled: int = 0
    spent: float = 0.0
    threads: int = 0

    def settle(self, budget: float, spent: float) -> bool:
        """Settle how many steps there will be, and again whenever twice as many are done: what a
        step costs is known better and better. Returns whether that has just happened."""
        if self.done == 1:  # not counted: what later steps use again is made in it
            self.settled, self.spent = 1, spent
        if self.done < max(PROBE, 2 * self.settled):
            return False
        each = (spent - self.spent) / (self.done - self.settled)
        self.total = self.done + int(max(budget - spent, 0) / max(each, 1e-9))
        self.settled, self.spent = self.done, spent
        return True


def class_names(labels: Sequence[str], images: int) -> list[str]:
    """The labels of so many images as plain strings.

    Raises:
        UserError: where one is no name, or there is not one for each image.
    """
    if isinstance(labels, str) or not isinstance(labels, Iterable):
        raise UserError(f"labels: expected a class name for each image, got {labels!r}")
    names = list(labels)
    plain = [isinstance(name, str) and name.isprintable() and name != "" for name in names]
    if wrong := [name for name, right in zip(names, plain, strict=True) if not right]:
        raise UserError(f"labels: expected the name of each image's class, got {wrong[0]!r}")
    if not images or len(names) != images:
        raise UserError(
            f"labels: expected one for each image, and at least one image, got {len(names)} for "
            f"{images}"
        )
    # One name, in whichever form; numpy has a kind of its own.
    return [unicodedata.normalize("NFC", str(name)) for name in names]


def fingerprint(images: Tensor, labels: Sequence[str]) -> str:
    """Differs where images or labels do."""
    digest = hashlib.blake2b("\0".join(labels).encode(), digest_size=16)
    digest.update(images.cpu().contiguous().numpy().data)
    return digest.hexdigest()


@contextmanager
def billed(course: Course, count: FlopCount, *seed: int) -> Iterator[None]:
    """What happens inside is on the session's account, and decided by its seed and threads."""
    start, before, threads = time.perf_counter(), count.total, torch.get_num_threads()
    torch.set_num_threads(course.threads or threads)
    try:
        with torch.enable_grad(), seeded(*seed, course.done):
            yield
    finally:
        torch.set_num_threads(threads)
    course.session.seconds += time.perf_counter() - start
    course.session.flops += count.total - before


def check_images(images: object, shape: tuple[int, ...] | None) -> None:
    """See that these are images, and of the shape of those before, if there were any.

    Raises:
        UserError: if not.
    """
    if not isinstance(images, Tensor) or images.dtype != torch.uint8 or images.dim() != 4:
        what = f"a {type(images).__name__} of {getattr(images, 'dtype', 'no dtype')}"
        what += f" and {tuple(size)}" if (size := getattr(images, "shape", None)) else ""
        raise UserError(f"images: expected a tensor, N x C x H x W uint8, got {what}")
    if images.layout != torch.strided or images.is_meta or not images.shape[1]:
        raise UserError("images: expected ordinary ones, with values and channels")
    odd = images.shape[1] > 4 >= images.shape[3]  # channels last
    if shape is None and (odd or min(images.shape[2:]) < SMALLEST):
        raise UserError(
            f"images: expected N x C x H x W, sides of at least {SMALLEST} pixels, got "
            f"{tuple(images.shape)}; of N x H x W x C, images.permute(0, 3, 1, 2) makes it"
        )
    if shape is not None and tuple(images.shape[1:]) != shape:
        raise UserError(f"images: expected N x {shape}, got {tuple(images.shape)}")
