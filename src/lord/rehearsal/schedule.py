"""When a batch is offered to the buffer, and when the buffer is replayed."""

import math

import torch
from torch import Generator


def admission_probability(share: float, strength: float = 0.75) -> float:
    """Chance that a batch is offered: the more of the network stands for the past, the less.

    Args:
        share: the teacher's parameters as a share of the full network's; 0 without a teacher.
        strength: how much less; 0 admits everything.
    """
    return math.exp(-strength * share)


def chance(probability: float, generator: Generator) -> bool:
    """One coin. A sure thing, either way, takes nothing from the generator."""
    if probability <= 0 or probability >= 1:
        return probability >= 1
    return torch.rand((), generator=generator, dtype=torch.float64).item() < probability


def is_due(step: int, *, rho: float, every: int, generator: Generator) -> bool:
    """Whether the buffer is replayed at this step: each ``every``-th one, with chance ``rho``."""
    return step % every == 0 and chance(rho, generator)
