"""The Tiny-ImageNet folder as published: wnids.txt, train/WNID/images, val with annotations."""

from pathlib import Path

import numpy as np

from lord.config import UserError
from lord.data.pictures import Encoded, Pictures, Split


def recognises(path: Path) -> bool:
    """Return whether a folder has wnids.txt and train/."""
    return (path / "wnids.txt").is_file() and (path / "train").is_dir()


def files(path: Path) -> list[Path]:
    """Return the two lists and all images, in a fixed order."""
    pictures = [*path.glob("train/*/images/*.JPEG"), *path.glob("val/images/*.JPEG")]
    return [path / "wnids.txt", path / "val" / "val_annotations.txt", *sorted(pictures)]


def read(path: Path) -> Pictures:
    """Read the names of all images; classes are sorted by WordNet ID.

    Raises:
        UserError: if images or annotations are missing, or an annotation has no known class.
    """
    names = sorted((path / "wnids.txt").read_text().split())
    index = {name: label for label, name in enumerate(names)}
    train: list[tuple[Path, str]] = []
    for name in names:
        train += [(file, name) for file in sorted((path / "train" / name).glob("images/*.JPEG"))]
    if not train:
        raise UserError(f"'{path / 'train'}' has no images")
    annotations = path / "val" / "val_annotations.txt"
    if not annotations.is_file():
        raise UserError(f"'{path}' is incomplete: 'val/{annotations.name}' is missing")
    held = []
    for number, line in enumerate(annotations.read_text().splitlines(), start=1):
        fields = line.split("\t")
        if len(fields) < 2 or fields[1] not in index:
            what = f"cannot read line {number} of '{annotations}'"
            raise UserError(what, allowed="a file name and a class of wnids.txt")
        held.append((path / "val" / "images" / fields[0], fields[1]))
    return Pictures(_part(train, index), _part(held, index), tuple(names))


def _part(found: list[tuple[Path, str]], index: dict[str, int]) -> Split:
    pictures: list[Encoded] = [(str(file), file.read_bytes) for file, _ in found]
    return Split(pictures, np.array([index[name] for _, name in found], dtype=np.int64))
