"""A ladder of widths: which channels of each group are active at a level."""

from collections.abc import Sequence
from dataclasses import dataclass

from lord.channels import ChannelMap

SHORT = tuple(round(0.1 * step, 2) for step in range(1, 11))
"""0.1, 0.2 ... 1.0, the ratios for streams of few classes."""
LONG = (*(round(0.05 * step, 2) for step in range(1, 19)), 1.0)
"""0.05, 0.10 ... 0.90, 1.0, the ratios for streams of 100 classes and more."""


def rounded(channels: float, multiple: int) -> int:
    """The nearest multiple, at least one, and one more if that is below 90 % of what was asked.

    >>> rounded(51.2, 8), rounded(3.2, 8), rounded(19.2, 16)
    (48, 8, 32)
    """
    kept = max(multiple, int(channels + multiple / 2) // multiple * multiple)
    return kept + multiple if kept < 0.9 * channels else kept


@dataclass(frozen=True)
class Ladder:
    """Widths a network can have. Levels count from 1, the narrowest.

    Attributes:
        channels: the network's channel map.
        ratios: width ratio of each level, rising to 1.
        multiple: channel counts are multiples of this.
    """

    channels: ChannelMap
    ratios: tuple[float, ...]
    multiple: int

    @classmethod
    def for_network(cls, channels: ChannelMap, classes: int) -> "Ladder":
        """The paper's ladder: short below 100 classes; multiples of 8, of 4 below width 64."""
        thinnest = min((group.size for group in channels.groups), default=1)
        return cls(channels, LONG if classes >= 100 else SHORT, 8 if thinnest >= 64 else 4)

    @property
    def top(self) -> int:
        return len(self.ratios)

    def counts(self, level: int) -> tuple[int, ...]:
        """Active channels of each group at ``level``."""
        return self.mixed([level] * len(self.channels.groups))

    def mixed(self, levels: Sequence[int]) -> tuple[int, ...]:
        """Active channels where each group has a level of its own.

        A stream keeps its size times the ratio. A group inside a stream keeps its share of that
        stream's kept channels, times its own ratio: so compute falls with the cube.
        """
        groups = self.channels.groups
        counts: dict[int, int] = {}
        for inside in (False, True):
            for index, group in enumerate(groups):
                if (group.stage is not None) != inside:
                    continue
                base: float = group.size
                if group.stage is not None:
                    base *= counts[group.stage] / groups[group.stage].size
                multiple = min(self.multiple, max(group.size // 2, 1))  # few, such as heads
                asked = rounded(base * self.ratios[levels[index] - 1], multiple)
                counts[index] = min(asked, group.size)
        return tuple(counts[index] for index in range(len(groups)))

    def share(self, counts: Sequence[int]) -> float:
        """Parameters at ``counts`` as a share of the full network's (kappa)."""
        return self.channels.parameters(counts) / self.channels.parameters(self.channels.full)
