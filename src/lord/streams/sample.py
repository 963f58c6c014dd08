"""A sample of images that has the same share of each class."""

from zlib import crc32

import torch
from torch import Generator, Tensor


def stratified(labels: Tensor, share: float, seed: int) -> Tensor:
    """Return the rows of a random share of each class, and at least one row of each, ascending.

    The rows of a class depend only on the seed, the label, the share and the number of its rows. A
    smaller share is part of a larger one.

    >>> stratified(torch.tensor([0, 0, 1, 1, 1, 1]), 0.5, seed=0).tolist()
    [1, 4, 5]

    Args:
        labels: N int64.
        share: more than 0 and at most 1.
        seed: decides the rows.

    Returns:
        M int64, on the device of ``labels``.
    """
    chosen = []
    for label in labels.unique().tolist():
        rows = (labels == label).nonzero().flatten()
        generator = Generator().manual_seed(crc32(f"stratified {seed} {label}".encode()))
        order = torch.randperm(len(rows), generator=generator)
        number = max(round(share * len(rows)), 1)
        chosen.append(rows[order[:number].to(rows.device)])
    return torch.cat(chosen).sort().values if chosen else labels.new_empty(0)
