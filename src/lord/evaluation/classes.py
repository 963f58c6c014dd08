"""A run's figures about classes: their confusion, and the contents of the buffer."""

from pathlib import Path

import msgspec

from lord.config import UserError

FILE, SHEET = "classes.json", "buffer.png"


class Classes(msgspec.Struct, frozen=True, kw_only=True):
    """The classes at the end of a run, in the order in which they were learned."""

    names: list[str]
    statistics: str
    """Batch-norm statistics for the confusion: those of the run's headline accuracy."""
    confusion: list[list[int]]
    """Number of test images of each class (row) predicted as each class (column), in Class-IL."""
    held: list[int] | None = None
    """Number of images of each class in the buffer."""
    across: int = 0
    """Number of images in each row of buffer.png, which has a row for each class; 0 without it."""


def read_classes(folder: Path) -> Classes | None:
    """Read the figures about classes of the run in ``folder``; None if it has none.

    Raises:
        UserError: if the file is damaged.
    """
    file = folder / FILE
    try:
        return msgspec.json.decode(file.read_bytes(), type=Classes)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as error:
        raise UserError(f"'{file}' does not describe the classes of a run: {error}") from None
