"""What commands print, and files they are asked to write."""

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.measure import Measurement

from lord.cli.flags import TYPED
from lord.cli.naming import as_flags
from lord.config import UserError

if TYPE_CHECKING:
    from rich.table import Table

    from lord.evaluation import RunRecord

console = Console(markup=False, emoji=False)
WIDEST = 1_000_000
"""Columns of a table that does not go to a terminal, at most."""


def say(text: str) -> None:
    """Print a sentence, which may be longer than the terminal is wide."""
    console.print(text, highlight=False, soft_wrap=True)


def show(table: "Table") -> None:
    """Print a table. Where the output is not a terminal, no cell is cut or wrapped."""
    if console.is_terminal:
        console.print(table)
        return
    wide = console.options.update(max_width=WIDEST)
    width = Measurement.get(console, wide, table).maximum
    Console(markup=False, emoji=False, width=width).print(table)


def print_error(text: str) -> None:
    """Print an error to the error stream, in one line."""
    line = " ".join(text.splitlines())
    Console(stderr=True, soft_wrap=True, highlight=False, markup=False, emoji=False).print(
        f"error: {line}"
    )


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


def print_table(records: "Sequence[RunRecord]", baseline: str | None = None) -> None:
    """Print the runs in a table, a row for each variant, and what to know about it.

    Args:
        records: the records of the runs.
        baseline: name of the row that the costs are compared with.
    """
    from lord.reporting import against, notes, summarise, terminal

    rows = summarise(records)
    reference = against(rows, baseline) if baseline else None
    console.print(terminal(rows, console.width, reference))
    for note in notes(rows):
        say(as_flags(note))


def print_differences(records: "Sequence[RunRecord]", baseline: str) -> None:
    """Print the difference of each row to the baseline, with the paired test."""
    from lord.reporting import against, difference_table, summarise

    rows = summarise(records)
    head, body, texts = difference_table(rows, against(rows, baseline))
    print_grid(head, body)
    for text in texts:
        say(text)


def print_classes(records: "Sequence[RunRecord]") -> None:
    """Print the accuracy on each class, with a column for each variant."""
    from lord.reporting import CLASS_NOTE, class_table, summarise

    head, body = class_table(summarise(records))
    if not body:
        say("These runs have no accuracy by class, because an earlier version made them.")
        return
    print_grid(head, body)
    say(CLASS_NOTE)


def print_grid(head: "Sequence[str]", body: "Sequence[Sequence[str]]") -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, padding=0, pad_edge=False, collapse_padding=True)
    for place, name in enumerate(head):
        table.add_column(name, justify="right" if place else "left")
    for cells in body:
        table.add_row(*cells)
    show(table)


def report_on(folder: Path, records: "Sequence[RunRecord]", baseline: str | None = None) -> None:
    """Write the report of a comparison, print its table, and say where the page is."""
    from lord.reporting import CONVENTION, summarise, warned, write_report

    page, *others = write_report(folder, records, baseline)
    print_table(records, baseline)
    for warning in warned(summarise(records)):
        say(as_flags(f"Warning: {warning}"))
    say(CONVENTION)
    if baseline:
        print_differences(records, baseline)
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
