"""Initial weights and dropout that depend only on a run's seed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from zlib import crc32

import torch
from torch import nn


def initialised(make: Callable[[], nn.Module], seed: int) -> nn.Module:
    """Call ``make`` to make a network, with initial weights that depend only on ``seed``."""
    with seeded(seed):
        return make()


@contextmanager
def seeded(*parts: int | str) -> Iterator[None]:
    """Seed PyTorch's global generators inside the block, and restore them after it.

    Layers draw their initial weights and dropout masks from the global generators. A run must
    neither depend on them nor change them. A resumed run must draw the same numbers as a run
    without the interruption.

    >>> before = torch.get_rng_state()
    >>> with seeded("dropout", 0, 17):
    ...     first = torch.rand(2)
    >>> with seeded("dropout", 0, 17):
    ...     again = torch.rand(2)
    >>> torch.equal(first, again), torch.equal(torch.get_rng_state(), before)
    (True, True)

    Args:
        parts: the seed, or several values that a seed is computed from.
    """
    seed = parts[0] if len(parts) == 1 else crc32(repr(parts).encode())
    generators = [torch.default_generator]
    if torch.cuda.is_initialized():
        generators += torch.cuda.default_generators
    # torch.random.fork_rng does the same in ten times the time.
    states = [generator.get_state() for generator in generators]
    for generator in generators:
        generator.manual_seed(int(seed))
    try:
        yield
    finally:
        for generator, state in zip(generators, states, strict=True):
            generator.set_state(state)
