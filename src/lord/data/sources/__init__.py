"""Layouts that images are read from. Each module reads one layout."""

from pathlib import Path
from typing import Protocol

from lord.config import UserError
from lord.data.bad_files import BadFilesError
from lord.data.pictures import Pictures
from lord.data.sources import cifar, folder, npz, parquet, tiny_imagenet


class Source(Protocol):
    """A module that reads one layout. Its functions raise ``UserError`` for damaged files."""

    def recognises(self, path: Path) -> bool:
        """Return whether a path has this layout."""

    def files(self, path: Path) -> list[Path]:
        """Return all files that ``read`` needs, in a fixed order; some may not exist."""

    def read(self, path: Path) -> Pictures:
        """Return the data set. Encoded images are not decoded yet."""


SOURCES: dict[str, Source] = {
    "npz": npz,
    "CIFAR python archive": cifar,
    "Tiny-ImageNet folder": tiny_imagenet,
    "parquet": parquet,
    "image folder": folder,
}
"""Layouts by name. The first that recognises a path reads it."""
LAYOUTS = (
    "parquet files (train-*.parquet), a CIFAR python archive, the Tiny-ImageNet folder, "
    "an image folder (CLASS/*.png or train/CLASS/*.png), or an .npz file"
)


def recognise(path: Path) -> tuple[str, Source]:
    """Return the name and module of the source that can read a path.

    Raises:
        BadFilesError: if it has only images of formats that cannot be read.
        UserError: if the path does not exist, is empty, or has no known layout.
    """
    if not path.exists():
        raise UserError(f"no data at '{path}': no such file or folder")
    if path.is_dir() and not any(path.iterdir()):
        raise UserError(f"no data at '{path}': the folder is empty")
    for name, source in SOURCES.items():
        if source.recognises(path):
            return name, source
    if path.is_file() and path.suffix.lower() in folder.ENDINGS:
        raise UserError(f"'{path}' is one image", allowed="a folder with images: CLASS/*.png")
    if path.is_dir() and any(file.suffix.lower() in folder.ENDINGS for file in path.iterdir()):
        what = f"'{path}' has images, but no folders of classes"
        raise UserError(what, hint=f"put the images of each class into a folder '{path}/CLASS'")
    if path.is_dir():
        bad = folder.ignored(path, test=True)
        if unknown := [each for each in bad if Path(each.file).suffix.lower() in folder.UNKNOWN]:
            raise BadFilesError(unknown, f"no image of '{path}' can be used:")
    raise UserError(f"'{path}' has no known layout", allowed=LAYOUTS)
