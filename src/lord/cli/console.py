"""What commands print, and files they are asked to write."""

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from lord.cli.flags import TYPED
from lord.config import UserError

if TYPE_CHECKING:
    from lord.evaluation import RunRecord

console = Console(markup=False)


def say(text: str) -> None:
    """Print a sentence, which may be longer than the terminal is wide."""
    console.print(text, highlight=False, soft_wrap=True)


def command_line() -> str:
    """The command that runs, as it was typed."""
    return shlex.join(["lord", *TYPED]).encode(errors="replace").decode()


@contextmanager
def continues(text: str) -> Iterator[None]:
    """Inside, an interruption is answered with where to continue."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"interrupted: {text}") from None


def print_table(records: "Sequence[RunRecord]") -> None:
    """Print the runs in a table, a row for each variant."""
    from lord.reporting import missing, summarise, terminal

    rows = summarise(records)
    console.print(terminal(rows))
    if note := missing(rows):
        say(note)


def report_on(folder: Path, records: "Sequence[RunRecord]") -> None:
    """Write the report of a comparison, print its table, and say where the page is."""
    from lord.reporting import CONVENTION, write_report

    page, *others = write_report(folder, records)
    print_table(records)
    say(CONVENTION)
    say(f"The page with tables and pictures is {page}. Beside it: {', '.join(_names(others))}.")


def _names(files: Sequence[Path]) -> list[str]:
    return [file.name for file in files]


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


def check_new(field: str, file: Path) -> None:
    """Check that a file can be written, before the work begins.

    Raises:
        UserError: if it exists, or its folder does not.
    """
    if file.exists():
        raise UserError("exists", field=field, given=file, hint="name a new file")
    if not file.parent.is_dir():
        raise UserError(f"is in '{file.parent}', which is not a folder", field=field, given=file)
