"""Decoded images on disk: written once, then memory-mapped."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from lord.config import UserError

FORMAT = 1
"""Version of the decoder, part of each key. Entries of other versions are not used."""

Arrays = dict[str, np.ndarray]
Notes = Mapping[str, Sequence[str]]


def cache_folder() -> Path:
    """Return $LORD_CACHE; if it is not set, lord/ in the user's cache folder."""
    if chosen := os.environ.get("LORD_CACHE"):
        return Path(chosen)
    if caches := os.environ.get("XDG_CACHE_HOME"):
        return Path(caches) / "lord"
    try:
        return Path.home() / ".cache" / "lord"
    except RuntimeError:  # in some containers a user has no home folder
        return Path(tempfile.gettempdir()) / "lord"


def content_key(files: Iterable[Path], root: Path, *options: object) -> str:
    """Return a hash of file names, file contents and options.

    Args:
        files: in a fixed order.
        root: the folder that names are relative to, or the only file.
        options: everything else that affects the decoded images.

    Raises:
        UserError: if a file cannot be read. It names the file.
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
    """Return the arrays and notes of a key, and make and store them first if necessary.

    If the cache cannot be written, the result of ``make`` is returned directly.

    Args:
        key: from ``content_key``.
        make: returns arrays and notes.
    """
    if holds(key):
        try:
            return stored(key)
        except (OSError, ValueError, LookupError):  # the entry is damaged
            shutil.rmtree(cache_folder() / key, ignore_errors=True)
    arrays, notes = make()
    try:
        store(key, partial(save_arrays, arrays), notes)
    except OSError:
        return arrays, notes
    del arrays  # free the memory before the files are mapped
    return stored(key)


def holds(key: str) -> bool:
    """Return whether the cache has an entry for a key."""
    return (cache_folder() / key / "notes.json").is_file()


def stored(key: str) -> tuple[Arrays, Notes]:
    """Return the arrays and notes of a key. Writing to the arrays does not change the files.

    Raises:
        OSError, ValueError or LookupError: if there is no entry, or it is damaged.
    """
    folder = cache_folder() / key
    notes = json.loads((folder / "notes.json").read_text())
    names = notes.get("arrays") or [file.stem for file in folder.glob("*.npy")]
    return {name: _map(folder / f"{name}.npy") for name in names}, notes


def store(key: str, fill: Callable[[Path], None], notes: Notes) -> None:
    """Add an entry to the cache atomically.

    Args:
        key: from ``content_key``.
        fill: writes ``.npy`` files into a folder.
        notes: JSON values to store with them.

    Raises:
        OSError: if the cache cannot be written.
    """
    folder = cache_folder() / key
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=folder.parent))
    try:
        fill(draft)
        arrays = sorted(file.stem for file in draft.glob("*.npy"))
        (draft / "notes.json").write_text(json.dumps({**notes, "arrays": arrays}))
        try:
            draft.rename(folder)
        except OSError:
            if not holds(key):  # otherwise another process stored the same
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def save_arrays(arrays: Arrays, folder: Path) -> None:
    """Write arrays into the folder of an entry, for ``store``."""
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)


def _map(file: Path) -> np.ndarray:
    return np.load(file, mmap_mode="c", allow_pickle=False)
