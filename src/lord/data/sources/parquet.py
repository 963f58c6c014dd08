"""Parquet files in the Hugging Face layout, with class names in the schema."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lord.config import UserError, first_line
from lord.data.pictures import Encoded, Pictures, Split

IMAGE, LABEL = ("img", "image"), ("label", "fine_label", "labels")
SPLITS = {
    "train": "train",
    "test": "test",
    "valid": "valid",
    "validation": "valid",
    "val": "valid",
}


def recognises(path: Path) -> bool:
    """Return whether a path is a parquet file, or a folder with some."""
    return bool(files(path))


def files(path: Path) -> list[Path]:
    """Return the parquet files, in a fixed order."""
    if path.is_file():
        return [path] if path.suffix == ".parquet" else []
    return sorted([*path.glob("*.parquet"), *path.glob("data/*.parquet")])


def read(path: Path) -> Pictures:
    """Read all files. The first word of a file's name is its split.

    Without a 'test' split, 'valid' is the test split. A single file is the train split.

    Raises:
        UserError: if a file is damaged, a column is missing, or there is no train split.
    """
    shards: dict[str, list[tuple[Path, pa.Table]]] = {}
    for file in files(path):
        word = file.stem.split("-")[0].lower()
        split = SPLITS.get(word, "train") if path.is_dir() else "train"
        try:
            shards.setdefault(split, []).append((file, pq.read_table(file)))
        except (OSError, pa.ArrowException) as error:
            raise UserError(f"cannot read '{file}': {first_line(error)}") from None
    if "train" not in shards:
        raise UserError(f"'{path}' has no train split, only {', '.join(sorted(shards))}")
    names = _names(shards["train"][0][1])
    test = shards.get("test") or shards.get("valid")
    train_part = _part(shards["train"])
    if not names:
        names = tuple(str(label) for label in range(int(train_part.labels.max(initial=-1)) + 1))
    return Pictures(train_part, _part(test) if test else None, names)


def _part(shards: list[tuple[Path, pa.Table]]) -> Split:
    pictures: list[Encoded] = []
    labels = []
    for file, table in shards:
        pictures += _images(file, table)
        labels.append(table[_column(file, table, LABEL)].to_numpy())
    joined = np.concatenate(labels)
    if not np.issubdtype(joined.dtype, np.integer):
        what = f"labels of '{shards[0][0]}' have the type {joined.dtype}"
        raise UserError(what, allowed="integers")
    return Split(pictures, joined.astype(np.int64))


def _images(file: Path, table: pa.Table) -> list[Encoded]:
    name = _column(file, table, IMAGE)
    values = table[name].combine_chunks()
    if pa.types.is_struct(values.type):
        if values.type.get_field_index("bytes") < 0:
            raise UserError(f"column {name} of '{file}' has no field 'bytes'")
        values = values.field("bytes")
    pictures: list[Encoded] = []
    for row, value in enumerate(values):
        if not value.is_valid:
            raise UserError(f"row {row} of '{file}' has no image")
        pictures.append((f"{file} row {row}", value.as_py))
    return pictures


def _column(file: Path, table: pa.Table, known: tuple[str, ...]) -> str:
    for name in known:
        if name in table.column_names:
            return name
    has = ", ".join(table.column_names)
    raise UserError(f"'{file}' has the columns {has}", allowed=f"a column {' or '.join(known)}")


def _names(table: pa.Table) -> tuple[str, ...]:
    """Return the class names in the schema; none if it lacks them or another library wrote it."""
    raw = (table.schema.metadata or {}).get(b"huggingface")
    if not raw:
        return ()
    try:
        features = json.loads(raw)["info"]["features"]
        found = (features[name]["names"] for name in LABEL if "names" in features.get(name, ()))
        return tuple(str(name) for name in next(found, ()))
    except (ValueError, LookupError, TypeError, AttributeError):
        return ()
