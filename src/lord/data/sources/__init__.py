"""One file a format. A source is a module with ``recognises``, ``files`` and ``read``."""

from pathlib import Path
from types import ModuleType

from lord.config import UserError
from lord.data.sources import cifar, folder, npz, parquet, tiny_imagenet

SOURCES: dict[str, ModuleType] = {
    "npz": npz,
    "CIFAR python archive": cifar,
    "Tiny-ImageNet folder": tiny_imagenet,
    "parquet": parquet,
    "image folder": folder,
}
"""Asked in this order; the first that recognises a path reads it."""


def recognise(path: Path) -> tuple[str, ModuleType]:
    """Name and module of the source that can read ``path``.

    Raises:
        UserError: if the path is missing, empty, or in no known layout.
    """
    if not path.exists():
        raise UserError(f"no data at '{path}': no such file or folder")
    if path.is_dir() and not any(path.iterdir()):
        raise UserError(f"no data at '{path}': the folder is empty")
    for name, source in SOURCES.items():
        if source.recognises(path):
            return name, source
    if path.is_dir() and any(file.suffix.lower() in folder.ENDINGS for file in path.iterdir()):
        raise UserError(
            f"images lie in '{path}' itself: put those of each class in a folder, {path}/CLASS/"
        )
    raise UserError(
        f"no known data layout at '{path}'; known: parquet shards (train-*.parquet), CIFAR python "
        "archives, the Tiny-ImageNet folder, image folders (train/<class>/*.png), .npz"
    )
