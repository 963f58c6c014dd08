"""What a comparison leaves beside its runs: a summary, a table, three pictures."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from lord.config import UserError
from lord.evaluation import RunRecord, read_record
from lord.reporting.pictures import (
    accuracy_against_flops,
    accuracy_matrices,
    accuracy_over_tasks,
)
from lord.reporting.tables import markdown, summarise


def find_records(folder: Path) -> list[RunRecord]:
    """Records of the finished runs in a comparison's folder, or of the one run in it.

    Raises:
        UserError: if there is none.
    """
    if not folder.is_dir():
        raise UserError(f"no results at '{folder}': no such folder")
    found = sorted(file.parent for file in folder.glob("*/summary.json"))
    if not found and (folder / "accuracy.json").is_file():
        found = [folder]
    if not found:
        raise UserError(f"no finished run in '{folder}'")
    records = [read_record(run) for run in found]
    return sorted(records, key=lambda record: record.seed)


def write_report(folder: Path, records: Sequence[RunRecord]) -> list[Path]:
    """Write summary.json (of a comparison), table.md and the pictures; returns what was written.

    Raises:
        UserError: if the folder cannot be written.
    """
    rows = summarise(records)
    written = [folder / "table.md", folder / "accuracy_against_flops.png"]
    written += [folder / "accuracy_over_tasks.png", folder / "accuracy_matrices.png"]
    try:
        _write(written[0], markdown(rows).encode())
        accuracy_against_flops(rows, written[1])
        accuracy_over_tasks(rows, written[2])
        accuracy_matrices(rows, written[3])
        if not (folder / "accuracy.json").is_file():
            written.append(folder / "summary.json")
            _write(
                written[-1],
                msgspec.json.format(msgspec.json.encode(list(records)), indent=1),
            )
    except OSError as error:
        raise UserError(f"cannot write to '{folder}': {error.strerror}") from None
    return written


def _write(file: Path, data: bytes) -> None:
    draft = file.with_name(f".{file.name}")
    draft.write_bytes(data)
    draft.replace(file)
