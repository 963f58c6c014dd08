"""The table of a comparison: the records of its runs as JSON lines, one run a line."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from lord.config import UserError
from lord.evaluation.record import Matrices, RunRecord
from lord.storage import write_text

TABLE = "runs.jsonl"
"""Name of the table in the folder of a comparison."""
SUMMARY = "summary.json"
"""The same records in the folder of an older comparison: one indented list."""
MATRIX_DECIMALS = 4
"""Decimals of the accuracies in matrices. They carry the noise of float32, and fill most of a line.

Measures are not rounded. Otherwise a difference such as 0.55 could be printed differently from the
table than from the run.
"""


def write_table(folder: Path, records: Sequence[RunRecord]) -> None:
    """Write the records of a comparison. A field that may be absent is left out if it is empty."""
    lines = [msgspec.json.encode(_compact(record)).decode() + "\n" for record in records]
    write_text(folder / TABLE, "".join(lines))


def read_table(folder: Path) -> list[RunRecord]:
    """Return the records in a comparison's folder; none if it has no table.

    Raises:
        UserError: if the table is damaged or not of a comparison.
    """
    table, summary = folder / TABLE, folder / SUMMARY
    file = table if table.is_file() else summary
    try:
        if file is table:
            return msgspec.json.Decoder(RunRecord).decode_lines(file.read_bytes())
        return msgspec.json.decode(file.read_bytes(), type=list[RunRecord])
    except FileNotFoundError:
        return []
    except msgspec.MsgspecError as error:
        raise UserError(f"'{file}' is not the table of a comparison: {error}") from None


def _compact(record: RunRecord) -> dict[str, Any]:
    """Return a record as plain values, without empty fields and with rounded matrices."""
    return _filled(record) | {"matrices": _rounded(_filled(record.matrices))}


def _filled(struct: RunRecord | Matrices) -> dict[str, Any]:
    """Return the fields of a struct as plain values, except optional ones that are empty."""
    values: dict[str, Any] = msgspec.to_builtins(struct)
    needed = {field.name for field in msgspec.structs.fields(struct) if field.required}
    return {name: v for name, v in values.items() if name in needed or v not in (None, [])}


def _rounded(value: Any) -> Any:
    """Round all floats in the plain values of matrices."""
    if isinstance(value, float):
        return round(value, MATRIX_DECIMALS)
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(each) for each in value]
    return value
