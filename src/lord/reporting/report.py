"""What a comparison leaves beside its runs: all records, a page, pictures."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from lord.config import UserError
from lord.evaluation import RunRecord, finished, read_record, read_study
from lord.reporting.page import page
from lord.reporting.pictures import (
    accuracy_against_flops,
    accuracy_matrices,
    accuracy_over_tasks,
)
from lord.reporting.tables import Row, summarise

PICTURES: dict[str, Callable[[Sequence[Row], Path], None]] = {
    "accuracy_against_flops.png": accuracy_against_flops,
    "accuracy_over_tasks.png": accuracy_over_tasks,
    "accuracy_matrices.png": accuracy_matrices,
}
MADE = "<!-- made by 'lord report': changes are lost when it makes it again -->"
"""Ends its pages; no other README.md is replaced."""
MATRICES = 12
"""Methods at most whose matrices are drawn."""


def find_studies(folder: Path) -> dict[Path, list[RunRecord]]:
    """Records of each comparison or single run at a folder, or in the folders below it.

    Raises:
        UserError: if there is none.
    """
    if not folder.is_dir():
        raise UserError(f"no results at '{folder}': no such folder")
    found: dict[Path, list[RunRecord]] = {}
    for file in sorted(folder.rglob("summary.json")):
        own = file.parent
        # A run's folder belongs to the comparison it lies in, unless it was asked for itself.
        if own != folder and (own / "accuracy.json").is_file():
            own = own.parent
        if own not in found and (records := find_records(own)):
            found[own] = records
    if not found:
        raise UserError(f"no finished run in '{folder}'")
    return found


def readable(name: str) -> str:
    """A file's name as it can be written down; names need not be UTF-8."""
    return os.fsencode(name).decode(errors="replace")


def find_records(folder: Path) -> list[RunRecord]:
    """Records of the finished runs in a comparison's folder, of the one run in it, or those a
    comparison has kept without its runs; in order of seed.

    Raises:
        UserError: if they cannot be read.
    """
    runs = sorted(file.parent for file in folder.glob("*/accuracy.json"))
    runs = [run for run in runs if finished(run)]
    if not runs and (folder / "accuracy.json").is_file():
        runs = [folder]
    if runs:
        records = [read_record(run) for run in runs]
    elif (kept := folder / "summary.json").is_file():
        try:
            records = msgspec.json.decode(kept.read_bytes(), type=list[RunRecord])
        except msgspec.MsgspecError as error:
            if (folder / "config.yaml").is_file():
                raise UserError(f"the run in '{folder}' is not whole: no accuracy.json") from None
            raise UserError(f"{kept} is not a comparison's summary: {error}") from None
    else:
        records = []
    return sorted(records, key=lambda record: record.seed)


def write_report(folder: Path, records: Sequence[RunRecord]) -> list[Path]:
    """Write summary.json (of a comparison), the page and pictures; returns what was written.

    Raises:
        UserError: if the folder cannot be written.
    """
    summary = None if (folder / "accuracy.json").is_file() else folder / "summary.json"
    _see_that_ours(folder / "README.md", summary)
    rows = summarise(records)
    names = [n for n in PICTURES if n != "accuracy_matrices.png" or len(rows) <= MATRICES]
    written = [folder / "README.md", *(folder / name for name in names)]
    try:
        for name in names:
            PICTURES[name](rows, folder / name)
        text = page(readable(folder.resolve().name), rows, read_study(folder), names)
        _write(written[0], f"{text}\n{MADE}\n".encode())
        if summary:
            written.append(summary)
            encoded = msgspec.json.encode(list(records))
            _write(summary, msgspec.json.format(encoded, indent=1))
    except OSError as error:
        raise UserError(f"cannot write to '{folder}': {error.strerror}") from None
    return written


def _see_that_ours(page: Path, summary: Path | None) -> None:
    """See that only what was made here is replaced.

    Raises:
        UserError: names the file that is somebody else's.
    """
    if page.is_file() and MADE.encode() not in page.read_bytes():
        raise UserError(f"'{page}' was not made by 'lord report': move it, it would be replaced")
    if summary and summary.is_file():
        try:
            msgspec.json.decode(summary.read_bytes(), type=list[RunRecord])
        except msgspec.MsgspecError:
            raise UserError(
                f"'{summary}' is not a comparison's summary: move it, it would be replaced"
            ) from None


def _write(file: Path, data: bytes) -> None:
    draft = file.with_name(f".{file.name}")
    draft.write_bytes(data)
    draft.replace(file)
