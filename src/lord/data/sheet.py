"""Contact sheets: many small images in one picture."""

import torch
from PIL import Image
from torch import Tensor


def contact_sheet(images: Tensor, across: int) -> Image.Image:
    """Draw images in rows. The end of the last row is black.

    >>> contact_sheet(torch.zeros(5, 3, 8, 8, dtype=torch.uint8), across=3).size
    (24, 16)

    Args:
        images: N x C x H x W uint8 with 1 or 3 channels, at least one image.
        across: images in a row.
    """
    count, channels, height, width = images.shape
    down = -(-count // across)
    whole = images.new_zeros((down * across, channels, height, width), device="cpu")
    whole[:count] = images.cpu()
    rows = whole.view(down, across, channels, height, width).permute(0, 3, 1, 4, 2)
    pixels = rows.reshape(down * height, across * width, channels).numpy()
    return Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels)


def sheet_by_class(
    images: Tensor, labels: Tensor, classes: int, across: int, side: int
) -> Image.Image:
    """Draw the first images of each class in a row. Missing images are black.

    Args:
        images: N x C x H x W uint8 with 1 or 3 channels.
        labels: N int64.
        classes: number of rows.
        across: images in a row.
        side: largest side of an image in pixels; larger images are scaled down.
    """
    tiles = images.new_zeros((classes * across, *images.shape[1:]))
    for label in labels.unique().tolist():
        chosen = images[torch.nonzero(labels == label)[:across, 0]]
        tiles[label * across : label * across + len(chosen)] = chosen
    sheet = contact_sheet(tiles, across)
    height, width = (min(side, length) for length in images.shape[2:])
    return sheet.resize((across * width, classes * height), Image.Resampling.BOX)
