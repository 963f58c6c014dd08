"""``lord data``: what images are at a path."""

from pathlib import Path
from typing import Annotated

from rich.table import Table

from lord.cli.console import console
from lord.cli.flags import checked
from lord.config import build, load_plugin

EXAMPLES = """
lord data
lord data photos/
lord data photos/ --holdout 0.2 --resize 32
"""
FIELDS = {"data": "path"}
"""Names of settings, and the parameters that stand for them here."""


def data(
    path: str = "digits",
    /,
    *,
    holdout: float | None = None,
    resize: Annotated[int | None, checked(int)] = None,
    plugin: Path | None = None,
) -> None:
    """Describe the images at a path, and check that they can be used.

    Parameters
    ----------
    path
        Images in any layout that 'lord run' takes.
    holdout
        Share of each class to use as the test split, for data without one.
    resize
        Side in pixels of the square that images are resized to.
    plugin
        Python file that registers a stream, which is then described by its name.
    """
    from lord.data import DataConfig, load_images, measure_normalisation

    if plugin:
        load_plugin(plugin)
    given = {"data": path, "holdout": holdout, "resize": resize}
    images = load_images(build(DataConfig, given))
    channels, height, width = images.shape
    table = Table(show_header=False)
    table.add_row("layout", images.kind)
    table.add_row("images", f"{height} x {width}, {'grey' if channels == 1 else 'colour'}")
    for split, labels in (("train", images.train_labels), ("test", images.test_labels)):
        counts = labels.bincount(minlength=len(images.classes))
        table.add_row(split, f"{len(labels)} images, {counts.min()} to {counts.max()} a class")
    if images.train_tasks is not None and images.test_tasks is not None:
        sizes = zip(images.train_tasks.bincount(), images.test_tasks.bincount(), strict=True)
        each = ", ".join(f"{train} + {test}" for train, test in sizes)
        table.add_row("tasks", f"train + test images of each: {each}")
    names = ", ".join(images.classes[:20]) + (" ..." if len(images.classes) > 20 else "")
    table.add_row("classes", f"{len(images.classes)}: {names}")
    pairs = zip(*measure_normalisation(images.train_images), strict=True)
    table.add_row("mean / std", " ".join(f"{mean:.4f}/{std:.4f}" for mean, std in pairs))
    known = {image.tobytes() for image in images.train_images.numpy()}
    leaked = sum(image.tobytes() in known for image in images.test_images.numpy())
    table.add_row("damaged images", "none")
    table.add_row("training images twice", str(len(images.train_images) - len(known)))
    table.add_row("test images also in train", str(leaked))
    console.print(table)
