"""The CIFAR-10 and CIFAR-100 python archives, packed or unpacked, read without trusting them."""

import io
import pickle
import tarfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from lord.config import UserError
from lord.data.pictures import Pictures, Split

TEN, HUNDRED = [f"data_batch_{i}" for i in range(1, 6)], ["train"]
META = {"batches.meta": (TEN, "test_batch", b"labels", b"label_names")}
META["meta"] = (HUNDRED, "test", b"fine_labels", b"fine_label_names")


class _Restricted(pickle.Unpickler):
    """Builds arrays and plain values; anything else a pickle asks for is refused."""

    ALLOWED = {
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
        ("_codecs", "encode"),
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"'{module}.{name}' is not allowed in a data file")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def recognises(path: Path) -> bool:
    if path.is_file():
        return path.name.endswith((".tar.gz", ".tgz", ".tar")) and "cifar" in path.name
    return _meta_name(path) is not None


def files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    meta = _meta_name(path)
    assert meta is not None
    return [path / name for name in (meta, *META[meta][0], META[meta][1])]


def read(path: Path) -> Pictures:
    members = _members(path)
    meta = next((name for name in META if name in members), None)
    if meta is None:
        raise UserError(f"no CIFAR batches in '{path}'")
    train, test, labels, names = META[meta]
    for name in (*train, test):
        if name not in members:
            raise UserError(f"'{path}' is incomplete: no {name}")
    classes = tuple(_text(name) for name in _load(path, meta, members[meta])[names])
    batches = [_part(path, name, members[name], labels) for name in train]
    whole = Split(
        np.concatenate([batch.images for batch in batches]),
        np.concatenate([batch.labels for batch in batches]),
    )
    return Pictures(whole, _part(path, test, members[test], labels), classes)


def _meta_name(folder: Path) -> str | None:
    train_of = {name: META[name][0][0] for name in META}
    found = (n for n in META if (folder / n).is_file() and (folder / train_of[n]).is_file())
    return next(found, None)


def _members(path: Path) -> dict[str, bytes]:
    if path.is_dir():
        return {file.name: file.read_bytes() for file in files(path) if file.is_file()}
    try:
        with tarfile.open(path) as archive:
            return {
                Path(member.name).name: archive.extractfile(member).read()  # type: ignore[union-attr]
                for member in archive
                if member.isfile()
            }
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise UserError(f"cannot read the archive {path}: {error}") from None


def _load(path: Path, name: str, data: bytes) -> dict[bytes, Any]:
    try:
        loaded = _Restricted(io.BytesIO(data), encoding="bytes").load()
    except Exception as error:  # a hostile pickle can raise anything
        raise UserError(f"cannot read {name} of {path}: {error}") from None
    if not isinstance(loaded, dict):
        raise UserError(f"cannot read {name} of {path}: expected a dictionary")
    return {key.encode() if isinstance(key, str) else key: value for key, value in loaded.items()}


def _part(path: Path, name: str, data: bytes, labels: bytes) -> Split:
    batch = _load(path, name, data)
    pixels, own = batch.get(b"data"), batch.get(labels)
    if (
        not isinstance(pixels, np.ndarray)
        or not isinstance(own, list)
        or pixels.dtype != np.uint8
        or pixels.shape != (len(own), 3072)
    ):
        raise UserError(f"cannot read {name} of {path}: expected N x 3072 bytes and N labels")
    images = pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return Split(np.ascontiguousarray(images), np.asarray(own, dtype=np.int64))


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)
