"""State the FLOPs of code that the counters cannot look into."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Count(Protocol):
    """A counter of FLOPs.

    Attributes:
        total: FLOPs so far.
        hidden: whether the counter ignores what runs now.
    """

    total: int
    hidden: bool


COUNTING: list[Count] = []
"""Counters that run now."""


@contextmanager
def stated(flops: int) -> Iterator[None]:
    """Count the block as ``flops``, whatever it computes.

    It is for code outside PyTorch, such as another runtime, and for results taken from a cache.

    >>> from lord.costs import FlopCount
    >>> with FlopCount() as count, stated(1000):
    ...     pass
    >>> count.total
    1000
    """
    shown = [count for count in COUNTING if not count.hidden]
    for count in shown:
        count.total += flops
        count.hidden = True
    try:
        yield
    finally:
        for count in shown:
            count.hidden = False
