"""Contact sheets: many small images as one picture."""

import torch
from PIL import Image
from torch import Tensor


def contact_sheet(images: Tensor, across: int) -> Image.Image:
    """Images in rows of ``across``; what the last row lacks is black.

    Args:
        images: N x C x H x W uint8 of 1 or 3 channels, at least one.
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
    """A row a class with the first ``across`` of its images, black where it has fewer.

    Args:
        images, labels: N x C x H x W uint8 and N int64.
        side: pixels; larger images are made that small.
    """
    tiles = images.new_zeros((classes * across, *images.shape[1:]))
    for label in labels.unique().tolist():
        own = images[torch.nonzero(labels == label)[:across, 0]]
        tiles[label * across : label * across + len(own)] = own
    sheet = contact_sheet(tiles, across)
    height, width = (min(side, length) for length in images.shape[2:])
    return sheet.resize((across * width, classes * height), Image.Resampling.BOX)
