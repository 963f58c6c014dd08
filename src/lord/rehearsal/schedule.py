"""Random decisions: whether to replay the buffer, and whether to offer it a batch."""

import math

import torch
from torch import Generator


def admission_probability(share: float, strength: float = 0.75) -> float:
    """Return the probability that a batch is offered: ``exp(-strength * share)``.

    It falls as the teacher takes a larger share of the network.

    >>> admission_probability(0.0), round(admission_probability(0.5), 2)
    (1.0, 0.69)

    Args:
        share: the teacher's parameters as a share of the full network's; 0 without a teacher.
        strength: how steeply it falls; 0 admits every batch.
    """
    return math.exp(-strength * share)


def chance(probability: float, generator: Generator) -> bool:
    """Return True with the given probability. Probabilities 0 and 1 draw no random number."""
    if probability <= 0 or probability >= 1:
        return probability >= 1
    return torch.rand((), generator=generator, dtype=torch.float64).item() < probability
