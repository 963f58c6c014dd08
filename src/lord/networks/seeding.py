"""Initial weights that depend only on a run's seed."""

from collections.abc import Callable

from torch import nn

from lord.config import seeded


def initialised(make: Callable[[], nn.Module], seed: int) -> nn.Module:
    """Call ``make`` to make a network, with initial weights that depend only on ``seed``."""
    with seeded(seed):
        return make()
