"""Decoded images on disk: written once, memory-mapped ever after."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from lord.config import UserError

FORMAT = 1
"""Raised when decoding changes, so that nothing decoded the old way is used."""

Arrays = dict[str, np.ndarray]
Notes = dict[str, Any]


def cache_folder() -> Path:
    """$LORD_CACHE, or lord/ in the user's cache folder."""
    if own := os.environ.get("LORD_CACHE"):
        return Path(own)
    if own := os.environ.get("XDG_CACHE_HOME"):
        return Path(own) / "lord"
    try:
        return Path.home() / ".cache" / "lord"
    except RuntimeError:  # a user without a home, as in some containers
        return Path(tempfile.gettempdir()) / "lord"


def content_key(files: Iterable[Path], root: Path, *options: object) -> str:
    """A hash of the files' names and contents and of what else decides the decoded result.

    Raises:
        UserError: names a file that cannot be read.
    """
    digest = hashlib.blake2b(json.dumps([FORMAT, *map(str, options)]).encode(), digest_size=16)
    for file in files:
        name = os.fsencode(file.relative_to(root) if file != root else file.name)
        digest.update(len(name).to_bytes(4) + name)
        try:
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "blake2b").digest())
        except OSError as error:
            raise UserError(f"cannot read '{file}': {error.strerror}") from None
    return digest.hexdigest()


def cached(key: str, make: Callable[[], tuple[Arrays, Notes]]) -> tuple[Arrays, Notes]:
    """The arrays and notes stored under ``key``, made and stored first if need be.

    Where the cache cannot be written, what was made is returned all the same.
    """
    if holds(key):
        try:
            return stored(key)
        except (OSError, ValueError, LookupError):  # damaged: made again
            shutil.rmtree(cache_folder() / key, ignore_errors=True)
    if not holds(key):
        arrays, notes = make()

        def fill(draft: Path) -> None:
            for name, array in arrays.items():
                np.save(draft / f"{name}.npy", array, allow_pickle=False)

        try:
            store(key, fill, notes)
        except OSError:
            return arrays, notes
        del arrays  # before as much is mapped again
    return stored(key)


def holds(key: str) -> bool:
    return (cache_folder() / key / "notes.json").is_file()


def stored(key: str) -> tuple[Arrays, Notes]:
    """What the cache holds. Arrays are mapped copy-on-write; the files stay as written."""
    folder = cache_folder() / key
    notes = json.loads((folder / "notes.json").read_text())
    names = notes.get("arrays") or [file.stem for file in folder.glob("*.npy")]
    return {name: _map(folder / f"{name}.npy") for name in names}, notes


def store(key: str, fill: Callable[[Path], None], notes: Notes) -> None:
    """Let ``fill`` write ``.npy`` files into a folder, then make it that of ``key``.

    Writing is atomic: a folder is complete or not there.

    Raises:
        OSError: if it cannot be written.
    """
    folder = cache_folder() / key
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=folder.parent))
    try:
        fill(draft)
        arrays = sorted(file.stem for file in draft.glob("*.npy"))
        (draft / "notes.json").write_text(json.dumps(notes | {"arrays": arrays}))
        try:
            draft.rename(folder)
        except OSError:
            if not holds(key):  # no other process was first
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _map(file: Path) -> np.ndarray:
    return np.load(file, mmap_mode="c", allow_pickle=False)
