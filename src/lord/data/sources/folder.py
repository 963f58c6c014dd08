"""Plain image folders: train/<class>/* with test/ or val/, or one tree of <class>/*."""

import os
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from lord.config import UserError
from lord.data.pictures import Encoded, Part, Pictures

ENDINGS = {
    ".png",
    ".jpg",
    ".jpeg",
    ".bmp",
    ".gif",
    ".webp",
    ".tif",
    ".tiff",
    ".ppm",
    ".pgm",
}
TEST = ("test", "val", "valid", "validation")


def recognises(path: Path) -> bool:
    return path.is_dir() and any(_pictures(_root(path)))


def has_pictures(folder: Path) -> bool:
    """Whether there is any in a folder itself."""
    return any(file.suffix.lower() in ENDINGS and file.is_file() for file in folder.iterdir())


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


def _part(found: list[tuple[str, Path]], names: list[str]) -> Part:
    pictures: list[Encoded] = [(str(file), file.read_bytes) for _, file in found]
    index = {name: label for label, name in enumerate(names)}
    return Part(pictures, np.array([index[name] for name, _ in found], dtype=np.int64))


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
    """See that no class is passed over; an empty folder is none.

    Raises:
        UserError: names a folder that cannot be looked into, or holds other files than pictures, or
            a picture beside them.
    """
    for file in sorted(root.iterdir()):
        if file.suffix.lower() in ENDINGS and file.is_file():
            raise UserError(f"'{file}' is in no class's folder")
    for folder in _classes(root):
        try:
            os.scandir(folder).close()
        except OSError as error:
            raise UserError(f"cannot read '{folder}': {error.strerror}") from None
        endings = set()
        for file in folder.rglob("[!.]*"):
            if file.is_file():
                endings.add(file.suffix.lower())
                if file.suffix.lower() in ENDINGS:
                    break  # the first picture will do
        if endings and not endings & ENDINGS:
            raise UserError(
                f"no image in '{folder}' can be read: files there end in "
                f"{', '.join(sorted(endings))}; known: {', '.join(sorted(ENDINGS))}"
            )


def _classes(root: Path, without: Sequence[str] = ()) -> Iterator[Path]:
    for folder in sorted(root.iterdir()) if root.is_dir() else ():
        if folder.is_dir() and not folder.name.startswith(".") and folder.name not in without:
            yield folder


def _pictures(root: Path, without: Sequence[str] = ()) -> Iterator[tuple[str, Path]]:
    """(class, file) of every picture below root/<class>/, in a fixed order."""
    for folder in _classes(root, without):
        name = os.fsencode(folder.name).decode(errors="backslashreplace")  # need not be UTF-8
        name = unicodedata.normalize("NFC", name)  # one name, whichever system wrote the folder
        for file in sorted(folder.rglob("*")):
            if file.suffix.lower() in ENDINGS and file.is_file():
                yield name, file
