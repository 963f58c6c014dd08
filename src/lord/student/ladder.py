"""The ladder of widths: how many channels of each group are active at a level."""

from collections.abc import Sequence
from dataclasses import dataclass

from lord.channels import ChannelMap

SHORT = tuple(round(0.1 * step, 2) for step in range(1, 11))
"""Width ratios 0.1, 0.2 ... 1.0, for streams of fewer than 100 classes."""
LONG = (*(round(0.05 * step, 2) for step in range(1, 19)), 1.0)
"""Width ratios 0.05, 0.10 ... 0.90, 1.0, for streams of 100 classes and more."""


def round_channels(channels: float, multiple: int) -> int:
    """Round a number of channels to a multiple, as the paper does.

    The result is the nearest multiple above zero. If it is less than 90 % of ``channels``, the next
    multiple is taken.

    >>> [round_channels(each, 8) for each in (51.2, 3.2, 360 * 0.7)]
    [48, 8, 256]
    """
    nearest = int(channels + multiple / 2 + 1e-9)  # 360 * 0.7 is a little below 252
    kept = max(multiple, nearest // multiple * multiple)
    return kept + multiple if kept < 0.9 * channels else kept


@dataclass(frozen=True)
class Ladder:
    """The widths that a network can have, by level (Liu et al. 2025). Level 1 is the narrowest.

    >>> import torch
    >>> from lord.channels import trace
    >>> network = torch.nn.Sequential(torch.nn.Linear(3, 64), torch.nn.Linear(64, 2))
    >>> ladder = Ladder.for_network(trace(network, torch.zeros(1, 3)), classes=2)
    >>> ladder.top, ladder.counts(5)
    (10, (32,))

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
        """Return the paper's ladder: ten levels, or nineteen for 100 classes and more.

        Channel counts are multiples of 8. They are multiples of 4, which is not in the paper, if a
        group has fewer than 64 channels at full width.

        Args:
            channels: the network's channel map.
            classes: number of classes in the stream.
        """
        smallest = min((group.size * group.unit for group in channels.groups), default=1)
        return cls(channels, LONG if classes >= 100 else SHORT, 8 if smallest >= 64 else 4)

    @property
    def top(self) -> int:
        """The highest level, at which the network has its full width."""
        return len(self.ratios)

    def counts(self, level: int) -> tuple[int, ...]:
        """Return the number of active channels of each group at a level."""
        return self.mixed_counts([level] * len(self.channels.groups))

    def mixed_counts(self, levels: Sequence[int]) -> tuple[int, ...]:
        """Return the number of active channels of each group, given a level for each group.

        A stage group keeps its size times the ratio of its level. An inner group keeps its size
        times the ratio of its stage group, times the ratio of its level. So FLOPs fall with the
        cube of the ratio.
        """
        groups = self.channels.groups
        counts: dict[int, int] = {}
        for inner in (False, True):
            for index, group in enumerate(groups):
                if (group.stage is not None) != inner:
                    continue
                base: float = group.size
                if group.stage is not None:
                    base *= counts[group.stage] / groups[group.stage].size
                # Groups of few channels, such as attention heads, need a smaller multiple.
                multiple = min(-(-self.multiple // group.unit), max(group.size // 2, 1))
                rounded = round_channels(base * self.ratios[levels[index] - 1], multiple)
                counts[index] = min(rounded, group.size)
        return tuple(counts[index] for index in range(len(groups)))

    def share(self, counts: Sequence[int]) -> float:
        """Return the parameters at ``counts`` as a share of the full network's (kappa)."""
        return self.channels.parameters(counts) / self.channels.parameters(self.channels.full)
