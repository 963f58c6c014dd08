"""The CIFAR-10 and CIFAR-100 python archives, packed or unpacked.

They are pickles. Reading them executes no code from them.
"""

import io
import pickle
import tarfile
import zlib
from pathlib import Path

import numpy as np

from lord.config import UserError
from lord.data.pictures import Pictures, Split

TEN, HUNDRED = [f"data_batch_{i}" for i in range(1, 6)], ["train"]
META = {
    "batches.meta": (TEN, "test_batch", b"labels", b"label_names"),
    "meta": (HUNDRED, "test", b"fine_labels", b"fine_label_names"),
}
"""Name of the file of class names -> train files, test file, key of labels, key of names."""


class _Restricted(pickle.Unpickler):
    """Read arrays and plain values, and refuse everything else."""

    ALLOWED = {
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
        ("_codecs", "encode"),
    }

    def find_class(self, module: str, name: str) -> object:
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"'{module}.{name}' is not allowed in a data file")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def recognises(path: Path) -> bool:
    """Return whether a path is a CIFAR archive, or a folder with its files."""
    if path.is_file():
        return path.name.endswith((".tar.gz", ".tgz", ".tar")) and "cifar" in path.name
    return _meta_name(path) is not None


def files(path: Path) -> list[Path]:
    """Return the archive, or the files of the folder."""
    if path.is_file():
        return [path]
    meta = _meta_name(path)
    assert meta is not None
    return [path / name for name in (meta, *META[meta][0], META[meta][1])]


def read(path: Path) -> Pictures:
    """Read all batches; images are N x 32 x 32 x 3 uint8.

    Raises:
        UserError: if files are missing or damaged.
    """
    members = _members(path)
    meta = next((name for name in META if name in members), None)
    if meta is None:
        raise UserError(f"'{path}' has no CIFAR batches")
    train, test, labels, names = META[meta]
    for name in (*train, test):
        if name not in members:
            raise UserError(f"'{path}' is incomplete: '{name}' is missing")
    found = _load(path, meta, members[meta]).get(names)
    if not isinstance(found, list):
        raise _damaged(path, meta, "it has no class names")
    batches = [_batch(path, name, members[name], labels) for name in train]
    whole = Split(
        np.concatenate([batch.images for batch in batches]),
        np.concatenate([batch.labels for batch in batches]),
    )
    return Pictures(whole, _batch(path, test, members[test], labels), tuple(map(_text, found)))


def _meta_name(folder: Path) -> str | None:
    """Return the file of class names in a folder that also has the first train file."""
    for name, (train, *_) in META.items():
        if (folder / name).is_file() and (folder / train[0]).is_file():
            return name
    return None


def _members(path: Path) -> dict[str, bytes]:
    """Return the content of each file, by name."""
    if path.is_dir():
        return {file.name: file.read_bytes() for file in files(path) if file.is_file()}
    members = {}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                if member.isfile() and (stream := archive.extractfile(member)):
                    members[Path(member.name).name] = stream.read()
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise UserError(f"cannot read the archive '{path}': {error}") from None
    return members


def _load(path: Path, name: str, data: bytes) -> dict[bytes, object]:
    try:
        loaded = _Restricted(io.BytesIO(data), encoding="bytes").load()
    except Exception as error:  # a hostile pickle can raise anything
        raise _damaged(path, name, str(error)) from None
    if not isinstance(loaded, dict):
        raise _damaged(path, name, "it is not a dictionary")
    return {key.encode() if isinstance(key, str) else key: value for key, value in loaded.items()}


def _batch(path: Path, name: str, data: bytes, key: bytes) -> Split:
    batch = _load(path, name, data)
    pixels, labels = batch.get(b"data"), batch.get(key)
    if (
        not isinstance(pixels, np.ndarray)
        or not isinstance(labels, list)
        or pixels.dtype != np.uint8
        or pixels.shape != (len(labels), 3072)
    ):
        raise _damaged(path, name, "expected N x 3072 bytes and N labels")
    images = pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return Split(np.ascontiguousarray(images), np.asarray(labels, dtype=np.int64))


def _damaged(path: Path, name: str, why: str) -> UserError:
    return UserError(f"cannot read '{name}' of '{path}': {why}")


def _text(name: object) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)
