"""What a run leaves about its classes: who was taken for whom, and what its buffer held."""

from pathlib import Path

import msgspec

from lord.config import UserError

FILE, SHEET = "classes.json", "buffer.png"


class Classes(msgspec.Struct, frozen=True, kw_only=True):
    """At the end of a run. Classes in the order they were learnt."""

    names: list[str]
    statistics: str
    """Batch-norm statistics behind the confusion: those of the run's headline."""
    confusion: list[list[int]]
    """Test images of each class (row) taken for each class (column), in Class-IL."""
    held: list[int] | None = None
    """Images of each class in the buffer."""
    across: int = 0
    """Images a class in buffer.png, where each class is a row; 0 where there is no such file."""


def read_classes(folder: Path) -> Classes | None:
    """What the run in ``folder`` left about its classes, if it did.

    Raises:
        UserError: if that cannot be read.
    """
    file = folder / FILE
    try:
        return msgspec.json.decode(file.read_bytes(), type=Classes)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as error:
        raise UserError(f"{file} does not describe a run's classes: {error}") from None
