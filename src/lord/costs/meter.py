"""Seconds and FLOPs of a run, by phase."""

import random
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from lord.costs.flops import FlopCount
from lord.costs.layers import LayerCount

GAP = 128
"""Largest distance between checks, apart from chance: one block in each GAP blocks is checked."""
SAVED = ("blocks", "checked", "operators", "counted", "others")
"""Attributes of a meter that later checks depend on."""


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=2)


class Meter:
    """Sum of FLOPs and seconds for each phase of a run.

    The FLOPs of a block are counted by layers, which is fast but assumes one backward pass through
    each layer. Some blocks are counted by operators too, which is right for any code. These are the
    first blocks of a phase, the first after a block that runs once, and then one block in each
    ``GAP``, chosen by a fixed rule. Their FLOPs are those of the operators. If the two counts
    differ, a warning says so, and operators are counted in all later blocks of the phase.

    >>> meter = Meter()
    >>> with meter, meter.phase("step"):
    ...     pass
    >>> meter.flops["step"]
    0

    Args:
        say: receives the warning.

    Attributes:
        flops, seconds: costs of each phase.
        operators: for each phase whose counts differed, the block from which operators count.
    """

    def __init__(self, say: Callable[[str], None] = _warn) -> None:
        self.say = say
        self.flops: defaultdict[str, int] = defaultdict(int)
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.operators: dict[str, int] = {}
        self.blocks: defaultdict[str, int] = defaultdict(int)
        """Number of blocks of each phase so far."""
        self.checked: dict[str, bool] = {}
        """Phases with a checked block since the last block that ran once."""
        self.counted: defaultdict[str, int] = defaultdict(int)
        """FLOPs of the blocks of each phase that were counted by operators."""
        self.others: defaultdict[str, int] = defaultdict(int)
        """Estimated operations without a formula, in the same blocks."""
        self._layers = LayerCount()

    def __enter__(self) -> "Meter":
        self._layers.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._layers.__exit__(None, None, None)

    @contextmanager
    def phase(self, name: str, *, once: bool = False) -> Iterator[None]:
        """Add the costs of the block to the phase ``name``. Phases cannot be nested.

        Args:
            name: the phase.
            once: the block is unlike others of the phase, so all its operators are counted.
        """
        checked = once or self._due(name)
        start, before = time.perf_counter(), self._layers.total
        try:
            with FlopCount() if checked else nullcontext() as exact:
                yield
        finally:
            self.seconds[name] += time.perf_counter() - start
            flops = self._layers.total - before
            if exact is None:
                self.flops[name] += flops
            else:
                self.flops[name] += exact.total
                self.counted[name] += exact.total
                self.others[name] += exact.others
        if exact is not None and not once:
            self._compare(name, flops, exact.total)
        if once:
            self.checked.clear()
        else:
            self.checked[name] = True
            self.blocks[name] += 1

    def missed(self, name: str) -> float:
        """Return the share of a phase's operations that its FLOPs miss, between 0 and 1.

        These are operators without a formula, at one operation per element of their largest tensor.
        """
        others = self.others[name]
        return others / max(others + self.counted[name], 1)

    def state_dict(self) -> dict[str, Any]:
        """Return what later checks and ``missed`` depend on. FLOPs and seconds are not in it."""
        return {name: dict(getattr(self, name)) for name in SAVED}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        for name in SAVED:
            getattr(self, name).update(state[name])

    def _due(self, name: str) -> bool:
        number = self.blocks[name]
        return name in self.operators or name not in self.checked or number == next_check(number)

    def _compare(self, name: str, flops: int, exact: int) -> None:
        if flops != exact and name not in self.operators:
            self.operators[name] = self.blocks[name]
            self.say(
                f"FLOPs of '{name}' are counted by operators from here on, which takes time. "
                f"Counted by layers, with one backward pass each, {exact:.3g} would be {flops:.3g}"
            )


def next_check(number: int) -> int:
    """Return the number of the first block to check, from ``number`` on.

    There is one in each window of blocks: 0, 1, 2 to 3, 4 to 7 and so on, up to ``GAP`` blocks.
    Its place is random but fixed, so that no rhythm of a method evades the checks.
    """
    if number < 2:
        return number
    size = min(1 << (number.bit_length() - 1), GAP)
    start = number // size * size
    chosen = start + random.Random(start).randrange(size)
    return chosen if chosen >= number else next_check(start + size)
