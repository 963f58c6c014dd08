"""The photographs of ``photographs.py`` as streams for ``lord run`` and ``lord compare``.

    lord run --plugin benchmarks/weekly.py --preset weekly0-32 --method lord+ --out runs/weekly

``weekly0-32`` has choice 0 of the classes, at 32 x 32 pixels. It is read from
``photographs/choice0`` in the folder in which the command is typed. A task is a week, with its new
classes and its further photographs of old ones. The test images of a task are those of its new
classes.
"""

from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

import lord

CHOICES, WEEKS, SIDES = 3, 4, (32, 64)
Rows = tuple[np.ndarray, np.ndarray]


def read(folder: Path, names: list[str], known: list[str]) -> Rows:
    """Return images and labels of some classes; a label is the place of a name in ``known``."""
    files = [(file, name) for name in names for file in sorted((folder / name).glob("*.jpg"))]
    images = [np.asarray(Image.open(file).convert("RGB")) for file, _ in files]
    return np.stack(images), np.array([known.index(name) for _, name in files])


def load(choice: int, side: int) -> object:
    """Return the weeks of one choice of classes."""
    folder = Path(f"photographs/choice{choice}")
    known: list[str] = []
    weeks = []
    for week in range(1, WEEKS + 1):
        names = sorted(path.name for path in (folder / f"week{week}").iterdir())
        new = [name for name in names if name not in known]
        known += new
        weeks.append(
            (read(folder / f"week{week}", names, known), read(folder / "test", new, known))
        )
    return lord.images_by_task(weeks, classes=known, resize=side)


for choice in range(CHOICES):
    for side in SIDES:
        lord.register_stream(f"weekly{choice}-{side}", partial(load, choice, side), tasks=WEEKS)
