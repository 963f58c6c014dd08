"""NumPy archives: x_train, y_train, and x_test, y_test or a holdout; class_names if wanted."""

from pathlib import Path
from zipfile import is_zipfile

import numpy as np
from numpy.lib.npyio import NpzFile

from lord.config import UserError, first_line
from lord.data.pictures import Pictures, Split


def recognises(path: Path) -> bool:
    return path.is_file() and path.suffix == ".npz"


def files(path: Path) -> list[Path]:
    return [path]


def read(path: Path) -> Pictures:
    try:
        with path.open("rb") as file:
            if not is_zipfile(file):
                raise ValueError("it is no archive of arrays, as numpy.savez writes it")
            file.seek(0)
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, NpzFile):
                raise ValueError("it is one array, not an archive of several")
            arrays = {name: archive[name] for name in archive.files}
            if odd := [name for name, own in arrays.items() if not isinstance(own, np.ndarray)]:
                raise ValueError(f"{odd[0]} is no array")
    except Exception as error:  # an altered file can raise anything
        raise UserError(f"cannot read {path}: {first_line(error)}") from None
    train = _part(path, arrays, "train")
    if train is None:
        raise UserError(f"{path}: no x_train and y_train, found {', '.join(sorted(arrays))}")
    if len(train.labels) and train.labels.max() >= max(len(train.labels), 2):
        raise UserError(
            f"{path}: y_train has a label {train.labels.max()}, but x_train only "
            f"{len(train.labels)} images, and classes are 0, 1, 2 ..."
        )
    names = arrays.get("class_names", np.arange(int(train.labels.max(initial=-1)) + 1))
    classes = tuple(str(name) for name in np.atleast_1d(names))
    return Pictures(train, _part(path, arrays, "test"), classes)


def _part(path: Path, arrays: dict[str, np.ndarray], split: str) -> Split | None:
    images, labels = arrays.get(f"x_{split}"), arrays.get(f"y_{split}")
    if images is None or labels is None:
        return None
    if images.dtype != np.uint8 or images.ndim not in (3, 4):
        shape = " x ".join(map(str, images.shape))
        raise UserError(
            f"{path}: x_{split} must be uint8 of N x H x W or N x H x W x C, "
            f"got {images.dtype} of {shape}"
        )
    if images.ndim == 4 and images.shape[3] > 4 >= images.shape[1]:
        shape = " x ".join(map(str, images.shape))
        raise UserError(
            f"{path}: x_{split} must be N x H x W x C, got {shape}, as if N x C x H x W: "
            "x.transpose(0, 2, 3, 1) makes it"
        )
    labels = labels.reshape(-1)
    if len(labels) != len(images) or not np.issubdtype(labels.dtype, np.integer):
        raise UserError(f"{path}: y_{split} must be {len(images)} whole numbers")
    images = images if images.ndim == 4 else images[..., None]
    return Split(np.ascontiguousarray(images), labels.astype(np.int64))
