"""Files a command was asked to write."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lord.config import UserError


@contextmanager
def writing(file: Path) -> Iterator[None]:
    """Inside, ``file`` is written.

    Raises:
        UserError: if it cannot be.
    """
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot write '{file}': {error.strerror or error}") from None
