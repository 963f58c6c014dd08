"""Images from Hugging Face ``datasets``."""

from typing import Any

import numpy as np
import torch
from PIL import Image

from lord.config import UserError
from lord.data.load import ImageData


def from_datasets(
    train: Any, test: Any, *, image: str = "image", label: str = "label", resize: int | None = None
) -> ImageData:
    """Two splits of a ``datasets.Dataset`` with images and class labels.

    Args:
        train, test: the splits.
        image, label: names of their columns.
        resize: side in pixels of the square all images are brought to; None: they have one size.

    Raises:
        UserError: names what is missing or does not fit.
    """
    tensors: dict[str, torch.Tensor] = {}
    for split, part in (("train", train), ("test", test)):
        for column in (image, label):
            if column not in part.column_names:
                has = ", ".join(part.column_names)
                raise UserError(f"no column '{column}' in the {split} split; it has: {has}")
        if not len(part):
            raise UserError(f"no images in the {split} split")
        grey = all(own.mode in ("L", "1") for own in part[image])
        pixels = [_pixels(own, "L" if grey else "RGB", resize) for own in part[image]]
        sizes = {own.shape for own in pixels}
        if len(sizes) > 1:
            raise UserError(f"images of the {split} split differ in size: give resize")
        stacked = torch.from_numpy(np.stack(pixels))
        tensors[f"{split}_images"] = stacked.permute(0, 3, 1, 2)
        tensors[f"{split}_labels"] = torch.tensor(list(part[label]), dtype=torch.int64)
    names = getattr(train.features[label], "names", None)
    top = int(tensors["train_labels"].max()) + 1
    classes = tuple(names) if names else tuple(map(str, range(top)))
    for split in ("train", "test"):
        given = tensors[f"{split}_labels"]
        if wrong := [own for own in given.tolist() if not 0 <= own < len(classes)]:
            raise UserError(
                f"a label of the {split} split is {wrong[0]}, but there are {len(classes)} "
                "classes, from 0 on"
            )
    one, two = (tuple(tensors[f"{split}_images"].shape[1:]) for split in ("train", "test"))
    if one != two:
        raise UserError(f"train images are {one}, test images {two}")
    return ImageData("Hugging Face dataset", str(train._fingerprint), **tensors, classes=classes)


def _pixels(image: Image.Image, mode: str, resize: int | None) -> np.ndarray:
    own = image.convert(mode)
    if resize:
        own = own.resize((resize, resize), Image.Resampling.BILINEAR)
    pixels = np.asarray(own)
    return pixels[:, :, None] if pixels.ndim == 2 else pixels
