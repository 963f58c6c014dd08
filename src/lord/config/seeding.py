"""Random numbers that depend only on a seed, whichever generator code draws them from."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from zlib import crc32

import numpy as np

_depth = 0
"""Number of ``seeded`` blocks that are open, one inside the other."""


@contextmanager
def seeded(*parts: int | str) -> Iterator[None]:
    """Seed the global generators of PyTorch, NumPy and Python inside the block.

    Layers draw initial weights and dropout masks from the global generators. A plug-in may draw
    anything from them. A run must neither depend on them nor change them, so they are restored. A
    resumed run must draw the same numbers as a run without the interruption.

    NumPy's and Python's are restored when the outermost block ends, because that takes long.

    >>> import torch
    >>> before = torch.get_rng_state()
    >>> with seeded("dropout", 0, 17):
    ...     first = torch.rand(2), np.random.rand(), random.random()
    >>> with seeded("dropout", 0, 17):
    ...     again = torch.rand(2), np.random.rand(), random.random()
    >>> torch.equal(first[0], again[0]), first[1:] == again[1:]
    (True, True)
    >>> torch.equal(torch.get_rng_state(), before)
    True

    Args:
        parts: the seed, or several values that a seed is computed from.
    """
    seed = int(parts[0] if len(parts) == 1 else crc32(repr(parts).encode()))
    torch = import_module("torch")  # help must not wait for it
    generators = [torch.default_generator]
    if torch.cuda.is_initialized():
        generators += torch.cuda.default_generators
    # torch.random.fork_rng does the same in ten times the time.
    states = [generator.get_state() for generator in generators]
    for generator in generators:
        generator.manual_seed(seed)
    try:
        with _others_seeded(seed % 2**32):
            yield
    finally:
        for generator, state in zip(generators, states, strict=True):
            generator.set_state(state)


@contextmanager
def _others_seeded(seed: int) -> Iterator[None]:
    """Seed NumPy's and Python's global generators. Restore them if no other block is open."""
    global _depth
    before = None if _depth else (np.random.get_state(), random.getstate())
    _depth += 1
    try:
        np.random.seed(seed)
        random.seed(seed)
        yield
    finally:
        _depth -= 1
        if before is not None:
            np.random.set_state(before[0])
            random.setstate(before[1])
