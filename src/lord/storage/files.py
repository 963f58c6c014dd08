"""Files that are written whole or not at all, and locks between processes."""

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from filelock import FileLock, Timeout

from lord.config import LockedError, UserError

T = TypeVar("T")


def write_atomic(path: Path, write: Callable[[Path], T], keep: Path | None = None) -> T:
    """Write a file in one step, so that it is whole if the process is killed at any moment.

    ``write`` fills a temporary file in the same folder. The file is synced to the disk, and then
    renamed to ``path``.

    Args:
        path: the file to write.
        write: called with the temporary file's path.
        keep: another path for the file that was at ``path``; without it, that file is replaced.

    Returns:
        The result of ``write``.

    Raises:
        OSError: if it cannot be written. It names ``path``, also where the disk is full.
    """
    try:
        return _write_atomic(path, write, keep)
    except OSError as error:
        if error.errno is not None:  # others have a text, which a name would replace
            error.filename = str(path)
        raise


def _write_atomic(path: Path, write: Callable[[Path], T], keep: Path | None) -> T:
    handle, draft = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    os.close(handle)
    try:
        done = write(Path(draft))
        Path(draft).chmod(0o666 & ~_umask())
        _to_disk(Path(draft))
        if keep is not None and path.exists():
            link(path, keep)  # never is there no file at ``path``, so a copy of the folder is whole
        Path(draft).replace(path)
        _to_disk(path.parent)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
    return done


def link(file: Path, name: Path) -> None:
    """Give a file a second name in the same folder, in one step. A file of that name is replaced.

    The file is copied where the system has no hard links.
    """
    if name.exists() and name.samefile(file):
        return
    handle, draft = tempfile.mkstemp(prefix=f".{name.name}-", dir=name.parent)
    os.close(handle)
    try:
        Path(draft).unlink()
        try:
            os.link(file, draft)
        except OSError:
            shutil.copyfile(file, draft)
            _to_disk(Path(draft))
        Path(draft).replace(name)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def _umask() -> int:
    """Return the permissions that new files do not get. To read them, they must be set."""
    before = os.umask(0o077)
    os.umask(before)
    return before


@contextmanager
def locked(folder: Path, doing: str, wait: float = 0) -> Iterator[None]:
    """Lock a folder inside the block. It is made if it does not exist.

    Args:
        folder: the folder to lock.
        doing: activity of this process, for errors in other processes, such as "learning".
        wait: seconds to wait for a process that holds the lock.

    Raises:
        LockedError: if another process holds the lock.
        UserError: if the folder cannot be written, or its name is not UTF-8.
    """
    if readable(str(folder)) != str(folder):  # no checkpoint there could be read again
        raise UserError(f"'{folder}' is not UTF-8", allowed="a folder whose name is UTF-8")
    if folder.exists() and not folder.is_dir():
        raise UserError(f"'{folder}' is a file", allowed="a folder to write to")
    file, new = folder / "lock", not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(file, timeout=wait)
        lock.acquire()
    except Timeout:
        raise LockedError(f"another process is {doing} in '{folder}'") from None
    except OSError as error:
        raise UserError(f"cannot write to '{folder}': {error.strerror}") from None
    try:
        for draft in folder.glob(".*.safetensors-????????"):  # files of a killed process
            with suppress(OSError):
                draft.unlink()
        yield
    finally:
        with suppress(OSError):
            file.unlink()
        lock.release()
        if new:
            with suppress(OSError):  # remove a folder that is still empty, after an error
                folder.rmdir()


def is_locked(folder: Path) -> bool:
    """Return whether a process holds the lock of a folder."""
    try:
        if (folder / "lock").exists():  # a killed process holds no lock, but its file stays
            FileLock(folder / "lock", timeout=0).acquire().lock.release()
    except Timeout:
        return True
    except OSError:  # the lock file may not be opened
        return False
    return False


def write_text(path: Path, text: str) -> None:
    """Write text to a file in one step."""
    write_atomic(path, lambda draft: draft.write_text(text))


def write_json(path: Path, value: Any) -> None:
    """Write plain values, structs or dataclasses to a file as indented JSON, in one step."""
    write_text(path, msgspec.json.format(json_text(value), indent=1) + "\n")


def _to_disk(path: Path) -> None:
    if os.name != "posix" and path.is_dir():  # Windows cannot open folders
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def json_text(value: object) -> str:
    """Return a value as JSON, with readable names of files."""
    try:
        return msgspec.json.encode(value).decode()
    except UnicodeEncodeError:
        return msgspec.json.encode(_with_readable(msgspec.to_builtins(value))).decode()


def readable(name: str) -> str:
    """Return the name of a file as valid text; names need not be UTF-8."""
    return re.sub("[\ud800-\udfff]", "\ufffd", name)


def _with_readable(value: Any) -> Any:
    if isinstance(value, dict):
        return {_with_readable(key): _with_readable(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_with_readable(each) for each in value]
    return readable(value) if isinstance(value, str) else value
