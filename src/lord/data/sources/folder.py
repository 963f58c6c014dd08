"""Image folders: train/CLASS/* with test/ or val/, or CLASS/* without a test split."""

import os
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from lord.config import UserError
from lord.data.bad_files import BadFile
from lord.data.pictures import Encoded, Pictures, Split

COMMON = {".png", ".jpg", ".jpeg", ".jfif", ".bmp", ".gif", ".heic", ".heif", ".avif"}
ENDINGS = COMMON | {".webp", ".tif", ".tiff", ".ppm", ".pgm"}
"""Formats that can be decoded, some of them with an extra."""
CAMERA = {".dng", ".cr2", ".cr3", ".nef", ".arw"}
UNKNOWN = CAMERA | {".jp2", ".jxl", ".svg"}
"""Formats of images that cannot be decoded."""
BROKEN = "a link to a file that does not exist"
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


def pictures_below(
    folder: Path, failed: Callable[[UserError], None] | None = None
) -> Iterator[Path]:
    """Yield all files below a folder that are images by their endings, in a fixed order.

    Args:
        folder: a folder.
        failed: called for each folder that cannot be read.

    Raises:
        UserError: if a folder cannot be read, without ``failed``.
    """
    for file in _below(folder, failed=failed):
        if file.suffix.lower() in ENDINGS | UNKNOWN and file.is_file():
            yield file


def files(path: Path) -> list[Path]:
    """Return all images, in a fixed order."""
    return [file for root in _roots(path) for _, file in _pictures(root)]


def ignored(path: Path, *, test: bool) -> list[BadFile]:
    """Return what ``read`` would ignore, although the user may think it is used.

    They are images outside the folders of classes or in a format that cannot be decoded, broken
    links, and folders with other files only. An empty folder is no class.

    Args:
        path: an image folder.
        test: look at the test split too.
    """
    roots = _roots(path) if test else [_root(path)]
    return [bad for root in roots for bad in _ignored(root)]


def read(path: Path) -> Pictures:
    """Read the names of all images. A class is named after its folder."""
    train = list(_pictures(_root(path)))
    test = _test(path)
    held = list(_pictures(test)) if test else []
    names = sorted({name for name, _ in train + held})
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


def _roots(path: Path) -> list[Path]:
    return [_root(path), *([test] if (test := _test(path)) else [])]


def _ignored(root: Path) -> Iterator[BadFile]:
    for file in _shown(root):
        if not file.exists():
            yield BadFile(str(file), BROKEN)
        elif file.suffix.lower() in ENDINGS and file.is_file():
            yield BadFile(str(file), "not in the folder of a class")
    for folder in _classes(root):
        yield from _ignored_of_class(folder)


def _ignored_of_class(folder: Path) -> Iterator[BadFile]:
    endings = set()
    for file in _below(folder):
        ending = file.suffix.lower()
        endings.add(ending)
        if ending in UNKNOWN:
            yield BadFile(str(file), f"cannot read the format {ending}; convert it to .jpg or .png")
        elif ending in ENDINGS and not file.exists():
            yield BadFile(str(file), BROKEN)
    if endings and not endings & (ENDINGS | UNKNOWN):
        found = ", ".join(sorted(endings))
        yield BadFile(str(folder), f"no images, only files that end in {found}")


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


def _below(
    folder: Path,
    above: tuple[Path, ...] = (),
    failed: Callable[[UserError], None] | None = None,
) -> Iterator[Path]:
    """Walk over all files below a folder. Links are followed, except in circles."""
    above = (*above, folder.resolve())
    try:
        shown = _shown(folder)
    except UserError as error:
        if failed is None:
            raise
        failed(error)
        return
    for file in shown:
        if not file.is_dir():
            yield file
        elif file.resolve() not in above:
            yield from _below(file, above, failed)


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
