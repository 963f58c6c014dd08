"""Files that are complete or not there."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from filelock import FileLock, Timeout

from lord.config import UserError

T = TypeVar("T")


def write_atomic(path: Path, write: Callable[[Path], T], keep: Path | None = None) -> T:
    """Let ``write`` fill a temporary file beside ``path``, then rename it into place, and return
    what it did.

    What was written has reached the disk before it replaces what was there; that is renamed to
    ``keep``, if given. Killed at any moment, ``path`` or ``keep`` is whole.
    """
    handle, draft = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    os.close(handle)
    try:
        done = write(Path(draft))
        Path(draft).chmod(0o666 & ~_umask())
        _to_disk(Path(draft))
        if keep is not None and path.exists():
            path.replace(keep)
        Path(draft).replace(path)
        _to_disk(path.parent)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
    return done


def _umask() -> int:
    """What this process keeps from others; it can only be read by setting it."""
    before = os.umask(0o077)
    os.umask(before)
    return before


@contextmanager
def locked(folder: Path, doing: str, wait: float = 0) -> Iterator[None]:
    """Inside, no other process does so in ``folder``; it is made if need be.

    Args:
        doing: such as "learning".
        wait: seconds another process is given to end.

    Raises:
        UserError: if one does, or the folder cannot be written.
    """
    file, new = folder / "lock", not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(file, timeout=wait)
        lock.acquire()
    except Timeout:
        raise UserError(f"another process is {doing} in '{folder}'") from None
    except OSError as error:
        raise UserError(f"cannot write to '{folder}': {error.strerror}") from None
    try:
        for draft in folder.glob(".*.safetensors-????????"):  # of a process that was killed
            with suppress(OSError):
                draft.unlink()
        yield
    finally:
        with suppress(OSError):
            file.unlink()
        lock.release()
        if new:
            with suppress(OSError):  # a mistake leaves no empty folder
                folder.rmdir()


def is_locked(folder: Path) -> bool:
    """Whether a process is at work in ``folder``."""
    try:
        if (folder / "lock").exists():  # left behind by one that was killed, it is free
            FileLock(folder / "lock", timeout=0).acquire().lock.release()
    except Timeout:
        return True
    except OSError:  # one may not even try
        return False
    return False


def write_text(path: Path, text: str) -> None:
    write_atomic(path, lambda draft: draft.write_text(text))


def write_json(path: Path, value: Any) -> None:
    """``value``, indented; structs and dataclasses too."""
    write_text(path, msgspec.json.format(msgspec.json.encode(value), indent=1).decode() + "\n")


def _to_disk(path: Path) -> None:
    if os.name != "posix" and path.is_dir():  # there, folders cannot be opened
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
