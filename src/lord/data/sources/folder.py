"""Plain image folders: train/<class>/* with test/ or val/, or one tree of <class>/*."""

import os
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from lord.config import UserError
from lord.data.pictures import Encoded, Pictures, Split

ENDINGS = {
    ".png",
    ".jpg",
    ".jpeg",
    ".jfif",
    ".bmp",
    ".gif",
    ".webp",
    ".tif",
    ".tiff",
    ".ppm",
    ".pgm",
}
UNKNOWN = {
    ".heic",
    ".heif",
    ".avif",
    ".jp2",
    ".jxl",
    ".dng",
    ".cr2",
    ".cr3",
    ".nef",
    ".arw",
    ".svg",
}
"""Pictures that cannot be read."""
TEST = ("test", "val", "valid", "validation")


def recognises(path: Path) -> bool:
    return path.is_dir() and any(_pictures(_root(path)))


def has_pictures(folder: Path) -> bool:
    """Whether there is any in a folder itself."""
    return any(file.suffix.lower() in ENDINGS and file.is_file() for file in _shown(folder))


def files(path: Path) -> list[Path]:
    roots = [_root(path), *([test] if (test := _test(path)) else [])]
    for root in roots:
        _see_that_all_are_read(root)
    return [file for root in roots for _, file in _pictures(root)]


def read(path: Path) -> Pictures:
    train = list(_pictures(_root(path)))
    names = sorted({name for name, _ in train})
    test = _test(path)
    held = list(_pictures(test)) if test else None
    if held is not None and (strange := {name for name, _ in held} - set(names)):
        raise UserError(f"class '{min(strange)}' is in {test} but not in {_root(path)}")
    part = _part(held, names) if held else None
    return Pictures(_part(train, names), part, tuple(names))


def _part(found: list[tuple[str, Path]], names: list[str]) -> Split:
    pictures: list[Encoded] = [(str(file), file.read_bytes) for _, file in found]
    index = {name: label for label, name in enumerate(names)}
    return Split(pictures, np.array([index[name] for name, _ in found], dtype=np.int64))


def _root(path: Path) -> Path:
    """Where the classes are. A folder named train may be one of them.

    Raises:
        UserError: if it may be either.
    """
    train = path / "train"
    if not any(_pictures(train)):
        return path
    if beside := next(_pictures(path, without=("train", *TEST)), None):
        raise UserError(
            f"'{path}' holds images by class in 'train/', and others beside it in '{beside[0]}/': "
            "which are the classes?"
        )
    return train


def _test(path: Path) -> Path | None:
    if _root(path) == path:
        return None
    return next((path / name for name in TEST if (path / name).is_dir()), None)


def _see_that_all_are_read(root: Path) -> None:
    """See that no class and no picture is passed over; an empty folder is no class.

    Raises:
        UserError: names a folder that holds other files than pictures, a picture of a kind that is
            not known, one beside the classes, or a link to nothing.
    """
    known = ", ".join(sorted(ENDINGS))
    for file in _shown(root):
        if file.suffix.lower() in ENDINGS and file.is_file():
            raise UserError(f"'{file}' is in no class's folder")
        if not file.exists():
            raise UserError(f"'{file}' is a link to what is not there")
    for folder in _classes(root):
        endings = set()
        for file in _below(folder):
            ending = file.suffix.lower()
            endings.add(ending)
            if ending in UNKNOWN:
                raise UserError(f"'{file}' cannot be read; known: {known}")
            if ending in ENDINGS and not file.exists():
                raise UserError(f"'{file}' is a link to what is not there")
        if endings and not endings & ENDINGS:
            raise UserError(
                f"no image in '{folder}' can be read: files there end in "
                f"{', '.join(sorted(endings))}; known: {known}"
            )


def _classes(root: Path, without: Sequence[str] = ()) -> Iterator[Path]:
    for folder in _shown(root) if root.is_dir() else ():
        if folder.is_dir() and folder.name not in without:
            yield folder


def _shown(folder: Path) -> list[Path]:
    """What is in a folder and not hidden, in a fixed order.

    Raises:
        UserError: if one may not look into it.
    """
    try:
        return sorted(own for own in folder.iterdir() if not own.name.startswith("."))
    except OSError as error:
        raise UserError(f"cannot read '{folder}': {error.strerror}") from None


def _below(folder: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """Files in a folder and in those in it, links followed, but not round in circles."""
    above = (*above, folder.resolve())
    for own in _shown(folder):
        if not own.is_dir():
            yield own
        elif own.resolve() not in above:
            yield from _below(own, above)


def _pictures(root: Path, without: Sequence[str] = ()) -> Iterator[tuple[str, Path]]:
    """(class, file) of every picture below root/<class>/, in a fixed order."""
    for folder in _classes(root, without):
        name = os.fsencode(folder.name).decode(errors="backslashreplace")  # need not be UTF-8
        name = unicodedata.normalize("NFC", name)  # one name, whichever system wrote the folder
        for file in _below(folder):
            if file.suffix.lower() in ENDINGS and file.is_file():
                yield name, file
