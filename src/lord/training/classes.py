"""Write files about a run's classes: their confusion, and a picture of the buffer."""

from pathlib import Path

import msgspec
import torch
from torch import Tensor

from lord.data import sheet_by_class
from lord.evaluation import Classes, Scores
from lord.evaluation.classes import FILE, SHEET
from lord.rehearsal import Buffer
from lord.storage import write_atomic, write_text

A_CLASS, IN_ALL, SIDE = 10, 200, 32
"""Most images of a class, most images of all classes, and their side in pixels."""


def write_classes(
    folder: Path, names: tuple[str, ...], statistics: str, last: Scores, buffer: Buffer | None
) -> None:
    """Write classes.json and, for a buffer of images, buffer.png.

    Args:
        folder: folder to write to.
        names: names of the classes.
        statistics: batch-norm statistics with which ``last`` was measured.
        last: scores after the last task.
        buffer: buffer at the end of the run; None for methods without one.
    """
    held, across = None, 0
    rows = _pictures(buffer) if buffer is not None else None
    if rows is not None:
        images, labels = rows
        held = labels.bincount(minlength=len(names)).tolist()
        across = max(min(A_CLASS, IN_ALL // len(names)), 1)
        sheet = sheet_by_class(images, labels, len(names), across, SIDE)
        write_atomic(folder / SHEET, lambda draft: sheet.save(draft, "PNG", optimize=True))
    record = Classes(
        names=list(names),
        statistics=statistics,
        confusion=last.confusion,
        held=held,
        across=across,
    )
    write_text(folder / FILE, msgspec.json.encode(record).decode() + "\n")


def _pictures(buffer: Buffer) -> tuple[Tensor, Tensor] | None:
    """Return the images and labels in the buffer; None if it is empty or has no images."""
    images, labels = (buffer.held.get(name) for name in ("images", "labels"))
    if images is None or labels is None or not len(images):
        return None
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] not in (1, 3):
        return None
    return images, labels
