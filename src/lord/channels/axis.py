"""Which channels lie along one dimension of a tensor, and where."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch
from torch import Tensor


@dataclass(frozen=True)
class Axis:
    """One dimension of a tensor, place by place.

    Mostly a group's channels lie along it in order (``plain``). After a concatenation several
    groups do; after flattening, or in heads of attention, each channel has many places.

    Attributes:
        owners: index of the group whose channel lies at each place; -1 for none's.
        channels: which of its channels that is.
    """

    owners: tuple[int, ...]
    channels: tuple[int, ...]

    @cached_property
    def plain(self) -> int | None:
        """The group whose channels lie along it in order, nothing else; None if not so."""
        alone = self.alone
        return alone if alone is not None and self.channels == tuple(range(len(self))) else None

    @cached_property
    def alone(self) -> int | None:
        """The only group along it, each channel as often as any other; None if not so."""
        return self.owners[0] if len(set(self.owners)) == 1 and self.owners[0] >= 0 else None

    @cached_property
    def groups(self) -> frozenset[int]:
        return frozenset(self.owners) - {-1}

    def __len__(self) -> int:
        return len(self.owners)

    def __hash__(self) -> int:  # long tuples, asked for at every step
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.owners, self.channels))

    def size(self, counts: Sequence[int]) -> int:
        """Places left where group g keeps its first ``counts[g]`` channels."""
        if self.plain is not None:
            return counts[self.plain]
        return len(self.left(counts))

    def left(self, counts: Sequence[int]) -> Tensor:
        """Places left, in order, where group g keeps its first ``counts[g]`` channels."""
        return self._left(tuple(counts[g] for g in sorted(self.groups)))

    @lru_cache(maxsize=64)  # noqa: B019  (frozen, few, and as long-lived as its network)
    def _left(self, kept: tuple[int, ...]) -> Tensor:
        limit = dict(zip(sorted(self.groups), kept, strict=True))
        pairs = enumerate(zip(self.owners, self.channels, strict=True))
        return torch.tensor([p for p, (g, c) in pairs if g < 0 or c < limit[g]], dtype=torch.long)

    def among(self, kept: Sequence[int], of: Sequence[int]) -> Tensor:
        """The places ``kept`` leaves, as they are counted where ``of`` are left: of all counts."""
        return torch.searchsorted(self.left(of), self.left(kept))

    def chosen(self, selection: Sequence[int | Tensor], of: Sequence[int]) -> Tensor:
        """Places of the selected channels, counted where ``of`` are left.

        What is left keeps the order of groups and repetitions; channels come as selected.
        """
        counts = [s if isinstance(s, int) else len(s) for s in selection]
        if not any(isinstance(s, Tensor) for s in selection):
            return self.among(counts, of)
        channel = {
            g: list(range(s)) if isinstance(s, int) else s.tolist()
            for g, s in enumerate(selection)
            if g in self.groups
        }
        where = {cell: place for place, cell in enumerate(self._cells(of))}
        found = [where[g, channel[g][c] if g >= 0 else c, n] for g, c, n in self._cells(counts)]
        return torch.tensor(found, dtype=torch.long)

    def owned(self, group: int, of: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Places of a group's channels, counted where ``of`` are left, and which those are."""
        own = [(place, c) for place, (g, c, _) in enumerate(self._cells(of)) if g == group]
        places, channels = zip(*own, strict=True)
        return torch.tensor(places), torch.tensor(channels)

    def _cells(self, counts: Sequence[int]) -> list[tuple[int, int, int]]:
        """(group, channel, repetition) at each place left, in order."""
        seen: Counter[tuple[int, int]] = Counter()
        cells = []
        for place in self.left(counts).tolist():
            own = self.owners[place], self.channels[place]
            cells.append((*own, seen[own]))
            seen[own] += 1
        return cells
