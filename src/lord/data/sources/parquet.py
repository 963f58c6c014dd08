"""Parquet shards in the Hugging Face layout: an image struct, a label, names in the schema."""

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
    return bool(files(path))


def files(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if path.suffix == ".parquet" else []
    return sorted([*path.glob("*.parquet"), *path.glob("data/*.parquet")])


def read(path: Path) -> Pictures:
    """Read all shards; a split is the first word of a file's name. 'valid' is the test split
    where there is no 'test'."""
    shards: dict[str, list[tuple[Path, pa.Table]]] = {}
    for file in files(path):
        word = file.stem.split("-")[0].lower()
        split = SPLITS.get(word, "train") if path.is_dir() else "train"
        try:
            shards.setdefault(split, []).append((file, pq.read_table(file)))
        except (OSError, pa.ArrowException) as error:
            raise UserError(f"cannot read {file}: {first_line(error)}") from None
    if "train" not in shards:
        raise UserError(f"no train split in '{path}': found only {', '.join(sorted(shards))}")
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
        image = _column(file, table, IMAGE)
        column = table[image].combine_chunks()
        if pa.types.is_struct(column.type) and column.type.get_field_index("bytes") < 0:
            raise UserError(f"{file}: column {image} has no 'bytes'")
        values = column.field("bytes") if pa.types.is_struct(column.type) else column
        for row, value in enumerate(values):
            if not value.is_valid:
                raise UserError(f"{file}: row {row} has no image bytes")
            pictures.append((f"{file} row {row}", value.as_py))
        labels.append(table[_column(file, table, LABEL)].to_numpy())
    joined = np.concatenate(labels)
    if not np.issubdtype(joined.dtype, np.integer):
        raise UserError(f"{shards[0][0]}: labels must be whole numbers, found {joined.dtype}")
    return Split(pictures, joined.astype(np.int64))


def _column(file: Path, table: pa.Table, known: tuple[str, ...]) -> str:
    for name in known:
        if name in table.column_names:
            return name
    raise UserError(
        f"{file}: no column {' or '.join(known)}, found {', '.join(table.column_names)}"
    )


def _names(table: pa.Table) -> tuple[str, ...]:
    raw = (table.schema.metadata or {}).get(b"huggingface")
    if not raw:
        return ()
    try:
        features = json.loads(raw)["info"]["features"]
        found = (features[name]["names"] for name in LABEL if "names" in features.get(name, ()))
        return tuple(str(name) for name in next(found, ()))
    except (ValueError, LookupError, TypeError, AttributeError):  # not as the library writes it
        return ()
