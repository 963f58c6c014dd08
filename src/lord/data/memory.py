"""Data sets in memory: arrays, tensors, PyTorch datasets and Hugging Face datasets."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from lord.config import UserError, convert
from lord.config.types import Count
from lord.data.image_data import ImageData, image_data
from lord.data.pictures import by
from lord.data.pixels import as_pixels

TEST = ("test", "validation", "valid", "val")
"""Names that the test split of a mapping may have. The first that exists is used."""
SPLITS = "(images, labels), a dataset of (image, label), or a Hugging Face dataset"
NAMES = "a sequence of names, one for each label"
PAIRS = "a sequence of pairs (train, test)"

Part = tuple[np.ndarray, np.ndarray, int]
"""Images, labels, and the task that they belong to."""


@dataclass(frozen=True)
class Reader:
    """Reads a split of a data set.

    Attributes:
        image, label: names of the columns of a Hugging Face dataset.
        resize: side in pixels of the square to resize to; None to keep the size.
    """

    image: str
    label: str
    resize: int | None

    def read(self, field: str, split: object) -> tuple[np.ndarray, np.ndarray]:
        """Return images, N x H x W x C uint8, and labels, N int64.

        Args:
            field: the argument to name in an error.
            split: as in ``images``.

        Raises:
            UserError: if images or labels are missing or of a wrong type.
        """
        images: object
        if is_hugging_face(split):
            self.check_columns(field, split)
            images, labels = split[self.image], list(split[self.label])  # type: ignore[index]
        elif isinstance(split, tuple) and len(split) == 2:
            images, labels = split
        elif hasattr(split, "__getitem__") and hasattr(split, "__len__"):
            rows = [split[place] for place in range(len(split))]
            if not all(isinstance(row, Sequence) and len(row) >= 2 for row in rows):
                raise UserError("has rows that are not pairs", field=field, allowed=SPLITS)
            images, labels = [row[0] for row in rows], [row[1] for row in rows]
        else:
            raise UserError(field=field, given=type(split).__name__, allowed=SPLITS)
        pixels = as_pixels(field, images, self.resize)
        return pixels, _labels(field, labels, len(pixels))

    def check_columns(self, field: str, split: object) -> None:
        """Check that a Hugging Face dataset has the two columns.

        Raises:
            UserError: if it does not, or it is empty.
        """
        known = list(split.column_names)  # type: ignore[attr-defined]
        for name, column in (("image", self.image), ("label", self.label)):
            if column not in known:
                raise UserError(
                    f"is not a column of the {field} split",
                    field=name,
                    given=column,
                    allowed=f"one of {', '.join(known)}",
                )
        if not len(split):  # type: ignore[arg-type]
            raise UserError("has no images", field=field, allowed="at least one image")


def images(
    train: object,
    test: object = None,
    *,
    classes: Sequence[str] | np.ndarray | None = None,
    image: str = "image",
    label: str = "label",
    resize: int | None = None,
) -> ImageData:
    """Make a data set for ``lord.run`` and ``lord.compare`` from images in memory.

    >>> import numpy as np
    >>> x, y = np.zeros((6, 8, 8, 3), np.uint8), np.array([0, 0, 0, 1, 1, 1])
    >>> images((x[::2], y[::2]), (x[1::2], y[1::2]), classes=["cat", "dog"]).classes
    ('cat', 'dog')

    Args:
        train, test: the splits. Each is a pair (images, labels) of arrays or tensors, a map-style
            PyTorch dataset of (image, label), or a Hugging Face dataset. ``train`` may also be a
            mapping with both splits, such as a ``DatasetDict``. Images are uint8, or floats from 0
            to 1; tensors have their channels first, and arrays have them last.
        classes: name of each label. By default, the names that the training split has, or else
            the labels.
        image, label: names of the columns of a Hugging Face dataset.
        resize: side in pixels of the square to resize to; None if all images have one size.

    Raises:
        UserError: if images or labels are missing or do not fit.
    """
    if isinstance(train, Mapping) and test is None:
        train, test = _both(train)
    if test is None:
        raise UserError("is missing", field="test", allowed=SPLITS)
    reader = Reader(image, label, convert("resize", resize, Count | None))
    splits = [(*reader.read("train", train), 0), (*reader.read("test", test), 0)]
    names = _given_names(classes) or _names(train, label)
    return _joined([splits[0]], [splits[1]], names, by_task=False)


def images_by_task(
    tasks: Sequence[tuple[object, object]],
    *,
    classes: Sequence[str] | np.ndarray | None = None,
    image: str = "image",
    label: str = "label",
    resize: int | None = None,
) -> ImageData:
    """Make a data set that is cut into tasks already, such as domains of the same classes.

    >>> import numpy as np
    >>> x, y = np.zeros((4, 8, 8), np.uint8), np.array([0, 0, 1, 1])
    >>> images_by_task([((x, y), (x, y)), ((x + 9, y), (x + 9, y))]).train_tasks.tolist()
    [0, 0, 0, 0, 1, 1, 1, 1]

    Args:
        tasks: the train and the test split of each task; see ``images``. A class has the same
            label in all tasks.
        classes, image, label, resize: as for ``images``.

    Raises:
        UserError: if images or labels are missing or do not fit.
    """
    reader = Reader(image, label, convert("resize", resize, Count | None))
    train: list[Part] = []
    test: list[Part] = []
    if not isinstance(tasks, Sequence):
        raise UserError(field="tasks", given=type(tasks).__name__, allowed=PAIRS)
    for place, both in enumerate(tasks):
        if not isinstance(both, tuple | list) or len(both) != 2:
            raise UserError(f"has no pair at position {place}", field="tasks", allowed=PAIRS)
        for split, parts in zip(both, (train, test), strict=True):
            parts.append((*reader.read("tasks", split), place))
    if not train:
        raise UserError("is empty", field="tasks", allowed="at least one pair (train, test)")
    names = _given_names(classes) or _names(tasks[0][0], label)
    return _joined(train, test, names, by_task=True)


def _joined(
    train: Sequence[Part], test: Sequence[Part], names: Sequence[str], *, by_task: bool
) -> ImageData:
    """Join parts of both splits to a data set."""
    parts = [("train", part) for part in train] + [("test", part) for part in test]
    channels = max(part[0].shape[3] for _, part in parts)
    shape = (channels, *train[0][0].shape[1:3])
    largest = max(int(labels.max()) for _, labels, _ in train)
    classes = tuple(names) or tuple(map(str, range(largest + 1)))
    for name, number in Counter(classes).items():
        if number > 1:  # results are by name, so one class would replace the other
            allowed = "a different name for each label"
            raise UserError(f"names {number} labels", field="classes", given=name, allowed=allowed)
    for field, (pixels, labels, _) in parts:
        if pixels.shape[1:3] != shape[1:] or pixels.shape[3] not in (1, channels):
            has = by((pixels.shape[3], *pixels.shape[1:3]))
            raise UserError(
                f"has images of {has} (channels, height, width)",
                field=field,
                allowed=f"{by(shape)} as in `train`",
            )
        _check_labels(field, labels, classes)
    arrays: dict[str, np.ndarray] = {}
    for split, some in (("train", train), ("test", test)):
        whole = np.concatenate([_with_channels(pixels, channels) for pixels, _, _ in some])
        arrays[f"{split}_images"] = whole
        arrays[f"{split}_labels"] = np.concatenate([labels for _, labels, _ in some])
        if by_task:
            places = [np.full(len(labels), place) for _, labels, place in some]
            arrays[f"{split}_tasks"] = np.concatenate(places)
    return image_data("images in memory", None, arrays, {"classes": classes})


def _with_channels(pixels: np.ndarray, channels: int) -> np.ndarray:
    return pixels if pixels.shape[3] == channels else pixels.repeat(channels, axis=3)


def is_hugging_face(split: object) -> bool:
    """Return whether a split has the members of a ``datasets.Dataset`` that are used."""
    return hasattr(split, "column_names") and hasattr(split, "features")


def _both(splits: Mapping[str, object]) -> tuple[object, object]:
    """Return the train and the test split of a mapping."""
    name = next((name for name in TEST if name in splits), None)
    if "train" not in splits or name is None:
        raise UserError(
            f"has the splits {', '.join(map(str, splits)) or 'none'}",
            field="train",
            allowed="a split 'train', and one of " + ", ".join(TEST),
        )
    return splits["train"], splits[name]


def _labels(field: str, labels: object, number: int) -> np.ndarray:
    array = np.asarray(labels.detach().cpu() if isinstance(labels, Tensor) else labels)
    if array.shape != (number,) or not np.issubdtype(array.dtype, np.integer):
        raise UserError(
            f"has labels of type {array.dtype} and shape {array.shape}",
            field=field,
            allowed=f"{number} integers, one for each image",
        )
    return array.astype(np.int64)


def _given_names(classes: object) -> list[str]:
    """Return the names of classes that the user gave as a sequence or an array; none for None.

    Raises:
        UserError: if they are something else, such as one text.
    """
    names = classes.tolist() if hasattr(classes, "tolist") else classes
    if names is None:
        return []
    # A text is a sequence too, but of characters.
    if isinstance(names, str | bytes) or not isinstance(names, Sequence):
        raise UserError(field="classes", given=classes, allowed=NAMES)
    for name in names:
        if not isinstance(name, str | int):
            raise UserError(f"has {name!r} where a name should be", field="classes", allowed=NAMES)
    return [str(name) for name in names]


def _names(split: object, label: str) -> list[str]:
    """Return the names of classes that a split has, if any."""
    owner, attribute = split, "classes"
    if is_hugging_face(split):
        owner, attribute = split.features[label], "names"  # type: ignore[attr-defined]
    names = getattr(owner, attribute, None)
    return [] if names is None else [str(name) for name in names]


def _check_labels(field: str, labels: np.ndarray, classes: Sequence[str]) -> None:
    for label in (int(labels.min()), int(labels.max())):
        if not 0 <= label < len(classes):
            what = f"has the label {label}"
            raise UserError(what, field=field, allowed=f"labels from 0 to {len(classes) - 1}")
