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


def check_new(file: Path) -> None:
    """See that a file can be written, before the work.

    Raises:
        UserError: if there is one already, or no folder for it.
    """
    if file.exists():
        raise UserError(f"'{file}' exists: name a new file")
    if not file.parent.is_dir():
        raise UserError(f"cannot write '{file}': no folder '{file.parent}'")
