"""The channel map of a network, and what follows from it by indexing alone."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lord.channels.axis import Axis

Selection = Sequence[int | Tensor]
"""For each group of a map, how many of its channels are kept (the first ones), or which."""


@dataclass(frozen=True)
class Group:
    """Channels that must be kept or dropped together.

    Attributes:
        name: the layer that produces them, or the first of several added up.
        size: how many there are at full width.
        stage: index of the residual stream this group works inside (between the convolutions of
            a block); None where the group is a stream of its own.
        readers: names of the weights that read these channels, at dimension 1.
    """

    name: str
    size: int
    stage: int | None
    readers: tuple[str, ...]


@dataclass(frozen=True)
class ChannelMap:
    """Groups of a network, and where their channels lie.

    Attributes:
        groups: the coupled groups, in the order of the network.
        axes: tensor name -> {dimension: what lies along it}. A tensor that no group touches is
            not listed.
        shapes: shape of every parameter and buffer at full width.
        trained: names of the parameters; the other names are buffers.
        positions: weight of a convolution or linear layer -> places of an image it is applied at.
    """

    groups: tuple[Group, ...]
    axes: Mapping[str, Mapping[int, Axis]]
    shapes: Mapping[str, torch.Size]
    trained: frozenset[str]
    positions: Mapping[str, int]

    @property
    def full(self) -> tuple[int, ...]:
        """The selection of all channels."""
        return tuple(group.size for group in self.groups)

    def shape(self, name: str, counts: Sequence[int]) -> tuple[int, ...]:
        """Shape of the tensor ``name`` where group g keeps ``counts[g]`` channels."""
        axes = self.axes.get(name, {})
        return tuple(
            axes[d].size(counts) if d in axes else size for d, size in enumerate(self.shapes[name])
        )

    def counts_of(self, tensors: Mapping[str, Tensor]) -> tuple[int, ...]:
        """How many channels of each group the tensors have: all, where they do not tell."""
        counts = list(self.full)
        for name, tensor in tensors.items():
            for dimension, axis in self.axes.get(name, {}).items():
                if (group := axis.alone) is not None:
                    counts[group] = tensor.shape[dimension] * self.full[group] // len(axis)
        return tuple(counts)

    def parameters(self, counts: Sequence[int]) -> int:
        """Number of trained parameters at ``counts``, head and batch-norm included."""
        return sum(math.prod(self.shape(name, counts)) for name in self.trained)

    def flops(self, counts: Sequence[int]) -> int:
        """FLOPs of one image's forward pass at ``counts``: a multiply-add is 2, and only
        convolutions and linear layers count, as is usual."""
        return 2 * sum(
            places * math.prod(self.shape(name, counts)) for name, places in self.positions.items()
        )

    def take(self, tensors: Mapping[str, Tensor], selection: Selection) -> dict[str, Tensor]:
        """The selected part of each tensor.

        Where a selection is a number, and the group's channels lie in order, the result is a
        *view* of the tensor given, so gradients reach it and writing changes it; otherwise it is
        a copy (differentiable all the same). Channels are counted in the tensors given, which may
        already be narrowed.
        """
        have = self.counts_of(tensors)
        return {name: self._take(name, tensor, selection, have) for name, tensor in tensors.items()}

    def _take(self, name: str, tensor: Tensor, selection: Selection, have: Sequence[int]) -> Tensor:
        for dimension, axis in self.axes.get(name, {}).items():
            if axis.plain is None:
                if any(
                    isinstance(selection[g], Tensor) or selection[g] != have[g] for g in axis.groups
                ):
                    places = axis.chosen(selection, have).to(tensor.device)
                    tensor = tensor.index_select(dimension, places)
                continue
            kept = selection[axis.plain]
            if isinstance(kept, Tensor):
                tensor = tensor.index_select(dimension, kept)
            elif kept != tensor.shape[dimension]:
                tensor = tensor.narrow(dimension, 0, kept)
        return tensor
