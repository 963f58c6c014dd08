"""Which channels lie along one dimension of a tensor, and at which positions."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch
from torch import Tensor


@dataclass(frozen=True)
class Axis:
    """One dimension of a tensor, position by position.

    On most axes, the channels of one group lie in order. After a concatenation, the channels of
    several groups follow each other. After flattening, and in attention heads, a channel has many
    positions.

    >>> axis = Axis(group_at=(0, 0, 0, 1, 1), channel_at=(0, 1, 2, 0, 1))
    >>> axis.kept([2, 1])
    tensor([0, 1, 3])

    Attributes:
        group_at: for each position, the index of the group that its channel belongs to; -1 for a
            channel that belongs to no group.
        channel_at: for each position, the channel's index in its group.
    """

    group_at: tuple[int, ...]
    channel_at: tuple[int, ...]

    @cached_property
    def ordered_group(self) -> int | None:
        """The group that fills the axis with its channels in order, once each; None without one."""
        in_order = self.channel_at == tuple(range(len(self)))
        return self.sole_group if in_order else None

    @cached_property
    def sole_group(self) -> int | None:
        """The only group on the axis; None if there are several, or channels of no group."""
        found = set(self.group_at)
        return self.group_at[0] if len(found) == 1 and -1 not in found else None

    @cached_property
    def groups(self) -> frozenset[int]:
        """All groups with channels on the axis."""
        return frozenset(self.group_at) - {-1}

    def __len__(self) -> int:
        return len(self.group_at)

    def __hash__(self) -> int:  # cached, because the tuples are long and hashed at every step
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.group_at, self.channel_at))

    def size(self, counts: Sequence[int]) -> int:
        """Return the number of positions kept if group g keeps its first ``counts[g]`` channels."""
        if self.ordered_group is not None:
            return counts[self.ordered_group]
        return len(self.kept(counts))

    def kept(self, counts: Sequence[int]) -> Tensor:
        """Return the positions that are kept if group g keeps its first ``counts[g]`` channels."""
        return self._kept(tuple(counts[g] for g in sorted(self.groups)))

    @lru_cache(maxsize=64)  # noqa: B019  (axes are few, and live as long as their network)
    def _kept(self, counts: tuple[int, ...]) -> Tensor:
        limit = dict(zip(sorted(self.groups), counts, strict=True))
        pairs = enumerate(zip(self.group_at, self.channel_at, strict=True))
        return torch.tensor([p for p, (g, c) in pairs if g < 0 or c < limit[g]], dtype=torch.long)

    def kept_within(self, counts: Sequence[int], have: Sequence[int]) -> Tensor:
        """Return the positions kept at ``counts``, in a tensor that is narrowed to ``have``.

        Args:
            counts: for each group, the number of channels kept; at most that of ``have``.
            have: for each group, the number of channels that the tensor has.
        """
        return torch.searchsorted(self.kept(have), self.kept(counts))

    def selected(self, selection: Sequence[int | Tensor], have: Sequence[int]) -> Tensor:
        """Return the positions of the selected channels in a tensor that is narrowed to ``have``.

        The result keeps the order of groups and repetitions. Within a group, channels follow the
        order of the selection.

        Args:
            selection: for each group, the number of first channels, or the channels' indices.
            have: for each group, the number of channels that the tensor has.

        Raises:
            KeyError: if some channels have more positions than others.
        """
        counts = [s if isinstance(s, int) else len(s) for s in selection]
        if not any(isinstance(s, Tensor) for s in selection):
            return self.kept_within(counts, have)
        wanted = {
            g: list(range(s)) if isinstance(s, int) else s.tolist()
            for g, s in enumerate(selection)
            if g in self.groups
        }
        position = {cell: place for place, cell in enumerate(self._cells(have))}
        cells = self._cells(counts)
        found = [position[g, wanted[g][c] if g >= 0 else c, n] for g, c, n in cells]
        return torch.tensor(found, dtype=torch.long)

    def positions_of(self, group: int, have: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return the positions of a group in a tensor that has ``have``, and their channels."""
        cells = enumerate(self._cells(have))
        found = [(position, channel) for position, (g, channel, _) in cells if g == group]
        positions, channels = zip(*found, strict=True)
        return torch.tensor(positions), torch.tensor(channels)

    def _cells(self, counts: Sequence[int]) -> list[tuple[int, int, int]]:
        """Return (group, channel, repetition) at each position kept, in order."""
        seen: Counter[tuple[int, int]] = Counter()
        cells = []
        for position in self.kept(counts).tolist():
            cell = self.group_at[position], self.channel_at[position]
            cells.append((*cell, seen[cell]))
            seen[cell] += 1
        return cells
