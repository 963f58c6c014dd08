"""Write the report of a comparison: the table of its runs, a page and pictures."""

from collections.abc import Sequence
from pathlib import Path

from lord.config import UserError, run_folder
from lord.evaluation import (
    TABLE,
    RunRecord,
    finished,
    read_record,
    read_study,
    read_table,
    write_table,
)
from lord.reporting.page import against, page
from lord.reporting.rows import Row, label_of, summarise
from lord.storage import readable, write_text

PICTURES = ("accuracy_against_flops.png", "accuracy_over_tasks.png", "accuracy_matrices.png")
"""The pictures of a report. Functions of the same names draw them."""
MADE = "<!-- made by 'lord report'"
"""Start of the last line of every page. A README.md without it is not replaced."""
MATRICES = 12
"""Most rows for which accuracy matrices are drawn."""


def find_studies(folder: Path) -> dict[Path, list[RunRecord]]:
    """Return the records of each comparison or single run in a folder and the folders below it.

    Raises:
        UserError: if no finished run is found.
    """
    check_folder(folder)
    found: dict[Path, list[RunRecord]] = {}
    for place in sorted({f.parent for name in (TABLE, "summary.json") for f in folder.rglob(name)}):
        # The folder of a run belongs to the comparison around it, unless the caller named it.
        if place != folder and (place / "accuracy.json").is_file():
            place = place.parent
        if place not in found and (records := find_records(place)):
            found[place] = records
    if not found:
        raise UserError("has no finished run", field="folder", given=folder)
    return found


def check_folder(folder: Path) -> None:
    """Check that a folder exists.

    Raises:
        UserError: if it does not, or is a file.
    """
    if not folder.is_dir():
        problem = "is a file" if folder.is_file() else "does not exist"
        raise UserError(problem, field="folder", given=folder, allowed="a folder")


def find_records(folder: Path) -> list[RunRecord]:
    """Return the records in a folder, ordered by seed.

    For the folder of a comparison, they are those of its finished runs, and those of its table
    whose run's folder is gone. For the folder of a run, it is its record.

    Raises:
        UserError: if they cannot be read.
    """
    runs = [file.parent for file in folder.glob("*/accuracy.json") if finished(file.parent)]
    if not runs and (folder / "accuracy.json").is_file():
        return [read_record(folder)]
    try:
        records = [read_record(run) for run in sorted(runs)]
        records += without_folder(folder, records)
    except UserError:
        if not runs and (folder / "config.yaml").is_file():
            raise UserError(f"the run in '{folder}' is incomplete: no accuracy.json") from None
        raise
    return sorted(records, key=lambda record: record.seed)


def without_folder(folder: Path, records: Sequence[RunRecord]) -> list[RunRecord]:
    """Return the runs of a comparison's table that are not among these, and whose folders are gone.

    A folder without a finished run is of one that is made again. Its earlier result does not count.

    Raises:
        UserError: if the table cannot be read.
    """
    here = {(label_of(record), record.seed) for record in records}
    others = [each for each in read_table(folder) if (label_of(each), each.seed) not in here]
    names = ((each, run_folder(label_of(each), each.seed)) for each in others)
    return [each for each, name in names if not (folder / name / "config.yaml").exists()]


def write_report(
    folder: Path, records: Sequence[RunRecord], baseline: str | None = None
) -> list[Path]:
    """Write the page and the pictures, and the table of a comparison. Return the files.

    Args:
        folder: folder of the comparison or the run.
        records: the records of its runs.
        baseline: name of the row that the others are compared with; see ``against``.

    Raises:
        UserError: if the folder cannot be written, or a file in it was not made by a report.
    """
    check_replaceable(folder)
    rows = summarise(records)
    names = pictures_of(rows)
    written = [folder / "README.md", *(folder / name for name in names)]
    try:
        for name in names:
            draw_picture(rows, folder / name)
        write_text(written[0], page_of(folder, rows, names, baseline))
        if not (folder / "accuracy.json").is_file():
            write_table(folder, [*without_folder(folder, records), *records])
            written.append(folder / TABLE)
    except OSError as error:
        raise UserError(f"cannot write to '{folder}': {error.strerror}") from None
    return written


def draw_picture(rows: Sequence[Row], picture: Path) -> None:
    """Draw the picture of rows that has the file's name, one of ``PICTURES``."""
    from lord.reporting import pictures  # noqa: PLC0415 (importing matplotlib takes a second)

    getattr(pictures, picture.stem)(rows, picture)


def pictures_of(rows: Sequence[Row]) -> list[str]:
    """Return the names of the pictures that a report draws of rows."""
    return [n for n in PICTURES if n != "accuracy_matrices.png" or len(rows) <= MATRICES]


def page_of(
    folder: Path, rows: Sequence[Row], pictures: Sequence[str] = (), baseline: str | None = None
) -> str:
    """Return the page of a comparison or a run as its report writes it.

    Args:
        folder: the folder; its study.json and its name are part of the page.
        rows: a row for each variant.
        pictures: names of the pictures that the page shows.
        baseline: name of the row that the others are compared with; see ``against``.
    """
    reference = against(rows, baseline) if baseline else None
    title = readable(folder.resolve().name)
    text = page(title, rows, read_study(folder), pictures, reference)
    return f"{text}\n{MADE}; your changes will be lost when it runs again -->\n"


def check_replaceable(folder: Path) -> None:
    """Check that the page and the table in a folder, if they exist, were made by a report.

    Raises:
        UserError: if one was not. It names the file.
    """
    page, table = folder / "README.md", folder / TABLE
    if page.is_file() and MADE.encode() not in page.read_bytes():
        raise not_ours(page)
    if table.is_file():
        try:
            read_table(folder)
        except UserError:
            raise not_ours(table) from None


def not_ours(file: Path) -> UserError:
    """Return the error for a file that a report would replace but did not make."""
    return UserError(f"'{file}' was not made by `lord report`", hint="move it away first")
