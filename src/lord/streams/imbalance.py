"""Long-tailed streams: class sizes that fall exponentially (Cao et al. 2019, arXiv:1906.07413)."""

from collections.abc import Sequence
from typing import Literal

import torch

from lord.streams.source import Source, shuffled


def tail_shares(classes: int, imbalance: float, ranks: Sequence[int]) -> list[float]:
    """Return the share of each class's images to keep: imbalance ** (-rank / (classes - 1)).

    >>> [round(share, 2) for share in tail_shares(3, 100, ranks=[0, 1, 2])]
    [1.0, 0.1, 0.01]

    Args:
        classes: number of classes.
        imbalance: size of the largest class divided by that of the smallest, at least 1.
        ranks: rank of each class; the class of rank 0 keeps all images.
    """
    return [imbalance ** (-rank / max(classes - 1, 1)) for rank in ranks]


def long_tailed(
    source: Source, classes: int, imbalance: float, tail: Literal["ordered", "shuffled"], seed: int
) -> Source:
    """Keep the first images of each class, fewer and fewer along the stream or in random order.

    Where images come with their tasks, a class keeps the same share in each. At least one is kept.

    Args:
        source: the images.
        classes: number of classes.
        imbalance: as for ``tail_shares``.
        tail: whether the sizes fall along the stream, or in random order.
        seed: decides the random order.
    """
    ranks = list(range(classes)) if tail == "ordered" else shuffled(classes, seed + 1)
    shares = tail_shares(classes, imbalance, ranks)
    strata, kept = source.strata(classes), []
    for stratum in strata.unique().tolist():
        rows = (strata == stratum).nonzero().flatten()
        kept.append(rows[: max(round(shares[stratum % classes] * len(rows)), 1)])
    return source.part(torch.cat(kept).sort().values)
