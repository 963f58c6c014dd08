"""``lord data``: what images are at a path."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from rich.table import Table

from lord.cli.console import say, show
from lord.cli.flags import checked
from lord.config import build, load_plugin

if TYPE_CHECKING:
    from torch import Tensor

    from lord.data import ImageData

EXAMPLES = """
lord data
lord data photos/week1
lord data photos/ --holdout 0.2 --resize 32
"""
FIELDS = {"data": "path"}
"""Names of settings, and the parameters that stand for them here."""
SIDE = 64
"""Side in pixels at which images of several sizes are compared."""


def data(
    path: str = "digits",
    /,
    *,
    holdout: float | None = None,
    resize: Annotated[int | None, checked(int)] = None,
    plugin: Path | None = None,
) -> None:
    """Describe the images at a path, and check that they can be used.

    All files that cannot be used are listed, with reasons. The exit code is 2 if there are any.

    Parameters
    ----------
    path
        Images in any layout that 'lord run' takes. 'lord learn' needs no test split.
    holdout
        Share of each class to use as the test split, for data without one.
    resize
        Side in pixels of the square that images are resized to.
    plugin
        Python file that registers a stream, which is then described by its name.
    """
    from lord.data import LOADERS, BadFilesError, DataConfig, bad_table, has_test_split, load_images

    if plugin:
        load_plugin(plugin)
    config = build(DataConfig, {"data": path, "holdout": holdout, "resize": resize})
    here = path != "digits" and path not in LOADERS and Path(path).exists()
    try:
        if here and holdout is None and not has_test_split(Path(path)):
            _describe_training(Path(path), resize)
        else:
            show(_both_splits(load_images(config)))
    except BadFilesError as error:
        for line in bad_table(error.files):
            say(line)
        raise


def _both_splits(images: "ImageData") -> Table:
    """The table of a data set with a test split."""
    channels, height, width = images.shape
    table = Table(show_header=False)
    table.add_row("layout", images.kind)
    table.add_row("images", f"{height} x {width}, {_colour(channels)}")
    for split, labels in (("train", images.train_labels), ("test", images.test_labels)):
        counts = labels.bincount(minlength=len(images.classes))
        table.add_row(split, f"{len(labels)} images, {counts.min()} to {counts.max()} a class")
    if images.train_tasks is not None and images.test_tasks is not None:
        sizes = zip(images.train_tasks.bincount(), images.test_tasks.bincount(), strict=True)
        each = ", ".join(f"{train} + {test}" for train, test in sizes)
        table.add_row("tasks", f"train + test images of each: {each}")
    _add_classes(table, images.classes, images.train_images)
    known = {image.tobytes() for image in images.train_images.numpy()}
    leaked = sum(image.tobytes() in known for image in images.test_images.numpy())
    table.add_row("damaged images", "none")
    table.add_row("training images twice", str(len(images.train_images) - len(known)))
    table.add_row("test images also in train", str(leaked))
    return table


def _describe_training(path: Path, resize: int | None) -> None:
    """Print the table of a data set without a test split.

    Raises:
        BadFilesError: if some files cannot be used.
    """
    from lord.data import BadFilesError, check_not_nested, load_readable, sides_of

    kind, sizes = sides_of(path)
    loaded = load_readable(path, resize or (SIDE if len(sizes) > 1 else None))
    least, most = (" x ".join(map(str, bound(sizes))) for bound in (min, max))
    check_not_nested(path, loaded.labels)
    counts = Counter(loaded.labels)
    table = Table(show_header=False)
    table.add_row("layout", kind)
    several = f"{least} to {most} pixels" if len(sizes) > 1 else least
    table.add_row("images", f"{several}, {_colour(loaded.images.shape[1])}")
    each = f"{min(counts.values())} to {max(counts.values())} a class"
    table.add_row("train", f"{len(loaded.labels)} images, {each}")
    table.add_row("test", "none: 'lord learn' needs none, 'lord run' needs --holdout")
    _add_classes(table, sorted(counts), loaded.images)
    table.add_row("damaged images", str(len(loaded.bad) or "none"))
    labels: dict[bytes, set[str]] = {}
    for image, label in zip(loaded.images.numpy(), loaded.labels, strict=True):
        labels.setdefault(image.tobytes(), set()).add(label)
    table.add_row("images twice", str(len(loaded.images) - len(labels)))
    table.add_row("images in two classes", str(sum(len(names) > 1 for names in labels.values())))
    show(table)
    if loaded.bad:
        raise BadFilesError(loaded.bad)


def _colour(channels: int) -> str:
    return "grey" if channels == 1 else "colour"


def _add_classes(table: Table, classes: Sequence[str], images: "Tensor") -> None:
    from lord.data import in_one_line, measure_normalisation

    names = ", ".join(map(in_one_line, classes[:20])) + (" ..." if len(classes) > 20 else "")
    table.add_row("classes", f"{len(classes)}: {names}")
    pairs = zip(*measure_normalisation(images), strict=True)
    table.add_row("mean / std", " ".join(f"{mean:.4f}/{std:.4f}" for mean, std in pairs))
