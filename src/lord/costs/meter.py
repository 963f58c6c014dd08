"""Seconds and FLOPs of a run, by phase."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from lord.costs.flops import FlopCount


class Meter:
    """Sum of FLOPs and seconds for each phase of a run.

    >>> meter = Meter()
    >>> with meter, meter.phase("step"):
    ...     pass
    >>> meter.flops["step"]
    0
    """

    def __init__(self) -> None:
        self.flops: defaultdict[str, int] = defaultdict(int)
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._count = FlopCount()

    def __enter__(self) -> "Meter":
        self._count.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._count.__exit__(None, None, None)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Add the costs of the block to the phase ``name``. Phases cannot be nested."""
        start, before = time.perf_counter(), self._count.total
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - start
            self.flops[name] += self._count.total - before
