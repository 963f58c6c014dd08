"""NumPy archives with x_train and y_train, and optionally x_test, y_test and class_names."""

from pathlib import Path
from zipfile import is_zipfile

import numpy as np
from numpy.lib.npyio import NpzFile

from lord.config import UserError, first_line
from lord.data.pictures import Pictures, Split, by


def recognises(path: Path) -> bool:
    """Return whether a path is an .npz file."""
    return path.is_file() and path.suffix == ".npz"


def files(path: Path) -> list[Path]:
    """Return the file."""
    return [path]


def read(path: Path) -> Pictures:
    """Read all arrays; images are N x H x W x C uint8.

    Raises:
        UserError: if the file is damaged, or its arrays are not images with labels.
    """
    arrays = _arrays(path)
    train = _part(path, arrays, "train")
    if train is None:
        found = ", ".join(sorted(arrays))
        raise UserError(f"'{path}' has no x_train and y_train, only {found}")
    count, largest = len(train.labels), int(train.labels.max(initial=-1))
    if count and largest >= max(count, 2):
        what = f"y_train of '{path}' has the label {largest}, for {count} images"
        raise UserError(what, allowed="classes numbered 0, 1, 2 ...")
    names = arrays.get("class_names", np.arange(largest + 1))
    classes = tuple(str(name) for name in np.atleast_1d(names))
    return Pictures(train, _part(path, arrays, "test"), classes)


def _arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        with path.open("rb") as file:
            if not is_zipfile(file):
                raise ValueError("it is not an archive that numpy.savez wrote")
            file.seek(0)
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, NpzFile):
                raise ValueError("it is one array, not an archive of several")
            arrays = {name: archive[name] for name in archive.files}
            for name, array in arrays.items():
                if not isinstance(array, np.ndarray):
                    raise ValueError(f"{name} is not an array")
    except Exception as error:  # a damaged file can raise anything
        raise UserError(f"cannot read '{path}': {first_line(error)}") from None
    return arrays


def _part(path: Path, arrays: dict[str, np.ndarray], split: str) -> Split | None:
    images, labels = arrays.get(f"x_{split}"), arrays.get(f"y_{split}")
    if images is None or labels is None:
        return None
    what = f"x_{split} of '{path}' is {images.dtype} of {by(images.shape)}"
    if images.dtype != np.uint8 or images.ndim not in (3, 4):
        raise UserError(what, allowed="uint8 of N x H x W or N x H x W x C")
    if images.ndim == 4 and images.shape[3] > 4 >= images.shape[1]:  # channels come first
        hint = "reorder it with x.transpose(0, 2, 3, 1)"
        raise UserError(what, allowed="N x H x W x C", hint=hint)
    labels = labels.reshape(-1)
    if len(labels) != len(images) or not np.issubdtype(labels.dtype, np.integer):
        raise UserError(
            f"y_{split} of '{path}' has {len(labels)} values of type {labels.dtype}",
            allowed=f"{len(images)} integers, one for each image",
        )
    images = images if images.ndim == 4 else images[..., None]
    return Split(np.ascontiguousarray(images), labels.astype(np.int64))
