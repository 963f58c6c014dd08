"""The original Tiny-ImageNet folder: wnids.txt, train/<wnid>/images, val with annotations."""

from pathlib import Path

import numpy as np

from lord.config import UserError
from lord.data.pictures import Encoded, Pictures, Split


def recognises(path: Path) -> bool:
    return (path / "wnids.txt").is_file() and (path / "train").is_dir()


def files(path: Path) -> list[Path]:
    pictures = [*path.glob("train/*/images/*.JPEG"), *path.glob("val/images/*.JPEG")]
    return [path / "wnids.txt", path / "val" / "val_annotations.txt", *sorted(pictures)]


def read(path: Path) -> Pictures:
    names = sorted((path / "wnids.txt").read_text().split())
    index = {name: label for label, name in enumerate(names)}
    train: list[tuple[Path, str]] = []
    for name in names:
        train += [(file, name) for file in sorted((path / "train" / name).glob("images/*.JPEG"))]
    if not train:
        raise UserError(f"no pictures in '{path}/train'")
    annotations = path / "val" / "val_annotations.txt"
    if not annotations.is_file():
        raise UserError(f"'{path}' is incomplete: no val/val_annotations.txt")
    held = []
    for number, line in enumerate(annotations.read_text().splitlines(), start=1):
        fields = line.split("\t")
        if len(fields) < 2 or fields[1] not in index:
            raise UserError(f"{annotations} line {number}: expected a file and a known class")
        held.append((path / "val" / "images" / fields[0], fields[1]))
    return Pictures(_part(train, index), _part(held, index), tuple(names))


def _part(found: list[tuple[Path, str]], index: dict[str, int]) -> Split:
    pictures: list[Encoded] = [(str(file), file.read_bytes) for file, _ in found]
    return Split(pictures, np.array([index[name] for _, name in found], dtype=np.int64))
