"""What a run leaves about its classes, for its page: their confusion, and a look at the buffer."""

from pathlib import Path

import msgspec
from torch import Tensor

from lord.data import sheet_by_class
from lord.evaluation import Classes, Scores
from lord.evaluation.classes import FILE, SHEET
from lord.learner import write_atomic, write_text
from lord.rehearsal import Buffer

A_CLASS, IN_ALL, SIDE = 10, 200, 32
"""Images shown: of a class and of all at most, and their side in pixels."""


def write_classes(
    folder: Path, names: tuple[str, ...], statistics: str, last: Scores, buffer: Buffer | None
) -> None:
    """Write classes.json and, where there is a buffer, buffer.png.

    Args:
        statistics: batch-norm statistics behind ``last``.
        last: scores after the last task.
    """
    held, across = None, 0
    if buffer is not None and len(buffer):
        images, labels = (buffer.columns[name][: len(buffer)] for name in ("images", "labels"))
        held = labels.bincount(minlength=len(names)).tolist()
        across = max(min(A_CLASS, IN_ALL // len(names)), 1)
        _write_sheet(folder, images, labels, len(names), across)
    record = Classes(
        names=list(names),
        statistics=statistics,
        confusion=last.confusion,
        held=held,
        across=across,
    )
    write_text(folder / FILE, msgspec.json.encode(record).decode() + "\n")


def _write_sheet(folder: Path, images: Tensor, labels: Tensor, classes: int, across: int) -> None:
    sheet = sheet_by_class(images, labels, classes, across, SIDE)
    write_atomic(folder / SHEET, lambda draft: sheet.save(draft, "PNG", optimize=True))
