"""Image folders: train/CLASS/* with test/ or val/, or CLASS/* without a test split."""

import os
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from lord.config import UserError
from lord.data.pictures import Encoded, Pictures, Split

COMMON = {".png", ".jpg", ".jpeg", ".jfif", ".bmp", ".gif"}
ENDINGS = COMMON | {".webp", ".tif", ".tiff", ".ppm", ".pgm"}
"""Formats that can be decoded."""
CAMERA = {".dng", ".cr2", ".cr3", ".nef", ".arw"}
UNKNOWN = CAMERA | {".heic", ".heif", ".avif", ".jp2", ".jxl", ".svg"}
"""Formats of images that cannot be decoded."""
KNOWN = f"one of {', '.join(sorted(ENDINGS))}"
TEST = ("test", "val", "valid", "validation")


def recognises(path: Path) -> bool:
    """Return whether a folder has images below folders of classes."""
    return path.is_dir() and any(_pictures(_root(path)))


def has_pictures(folder: Path) -> bool:
    """Return whether a folder has images directly in it.

    Raises:
        UserError: if the folder cannot be read.
    """
    return any(file.suffix.lower() in ENDINGS and file.is_file() for file in _shown(folder))


def files(path: Path) -> list[Path]:
    """Return all images, in a fixed order.

    Raises:
        UserError: if a file or folder would be ignored. It names it. See ``_check_classes``.
    """
    roots = [_root(path), *([test] if (test := _test(path)) else [])]
    for root in roots:
        _check_classes(root)
    return [file for root in roots for _, file in _pictures(root)]


def read(path: Path) -> Pictures:
    """Read the names of all images. A class is named after its folder.

    Raises:
        UserError: if the test split has a class that the train split lacks.
    """
    train = list(_pictures(_root(path)))
    names = sorted({name for name, _ in train})
    test = _test(path)
    held = list(_pictures(test)) if test else []
    if extra := {name for name, _ in held} - set(names):
        raise UserError(f"class '{min(extra)}' is in '{test}', but not in '{_root(path)}'")
    return Pictures(_part(train, names), _part(held, names) if held else None, tuple(names))


def _part(found: list[tuple[str, Path]], names: list[str]) -> Split:
    pictures: list[Encoded] = [(str(file), file.read_bytes) for _, file in found]
    index = {name: label for label, name in enumerate(names)}
    return Split(pictures, np.array([index[name] for name, _ in found], dtype=np.int64))


def _root(path: Path) -> Path:
    """Return the folder that has the folders of classes: train/, or the path itself.

    Raises:
        UserError: if 'train' may be a split or a class.
    """
    train = path / "train"
    if not any(_pictures(train)):
        return path
    if other := next(_pictures(path, without=("train", *TEST)), None):
        raise UserError(
            f"'{path}' has folders of classes in 'train', and images in '{other[0]}' next to it",
            hint=f"move '{other[0]}' into 'train' if it is a class, or out of '{path}'",
        )
    return train


def _test(path: Path) -> Path | None:
    if _root(path) == path:
        return None
    return next((path / name for name in TEST if (path / name).is_dir()), None)


def _check_classes(root: Path) -> None:
    """Check that no image and no class is ignored. An empty folder is not a class.

    Raises:
        UserError: if an image is not in the folder of a class, or its format cannot be decoded; if
            a link is broken, or a folder has only other files. It names the file.
    """
    for file in _shown(root):
        if file.suffix.lower() in ENDINGS and file.is_file():
            what = f"the image '{file}' is not in the folder of a class"
            raise UserError(what, hint="move or remove it")
        if not file.exists():
            raise _broken(file)
    for folder in _classes(root):
        _check_class(folder)


def _check_class(folder: Path) -> None:
    endings = set()
    for file in _below(folder):
        ending = file.suffix.lower()
        endings.add(ending)
        if ending in UNKNOWN:
            hint = "convert or remove it"
            raise UserError(f"cannot read the format of '{file}'", allowed=KNOWN, hint=hint)
        if ending in ENDINGS and not file.exists():
            raise _broken(file)
    if endings and not endings & ENDINGS:
        found = ", ".join(sorted(endings))
        raise UserError(f"'{folder}' has no images, only files that end in {found}", allowed=KNOWN)


def _broken(link: Path) -> UserError:
    return UserError(f"'{link}' is a link to a file that does not exist", hint="remove the link")


def _classes(root: Path, without: Sequence[str] = ()) -> Iterator[Path]:
    for folder in _shown(root) if root.is_dir() else ():
        if folder.is_dir() and folder.name not in without:
            yield folder


def _shown(folder: Path) -> list[Path]:
    """Return the content of a folder without hidden files, in a fixed order.

    Raises:
        UserError: if the folder cannot be read.
    """
    try:
        return sorted(file for file in folder.iterdir() if not file.name.startswith("."))
    except OSError as error:
        raise UserError(f"cannot read '{folder}': {error.strerror}") from None


def _below(folder: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """Walk over all files below a folder. Links are followed, except in circles."""
    above = (*above, folder.resolve())
    for file in _shown(folder):
        if not file.is_dir():
            yield file
        elif file.resolve() not in above:
            yield from _below(file, above)


def _pictures(root: Path, without: Sequence[str] = ()) -> Iterator[tuple[str, Path]]:
    """Return class and file of every image below root/CLASS/, in a fixed order."""
    for folder in _classes(root, without):
        # Names of folders need not be UTF-8.
        name = os.fsencode(folder.name).decode(errors="backslashreplace")
        # Systems write accents in different forms of Unicode. They are one class.
        name = unicodedata.normalize("NFC", name)
        for file in _below(folder):
            if file.suffix.lower() in ENDINGS and file.is_file():
                yield name, file
