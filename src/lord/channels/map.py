"""The channel map of a network, which gives shapes, costs and slices at any width."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lord.channels.axis import Axis

Selection = Sequence[int | Tensor]
"""The channels of each group that are kept: how many of the first ones, or their indices as a 1-D
integer tensor."""


@dataclass(frozen=True)
class Group:
    """Coupled channels: all tensors that have them must keep or drop the same ones.

    The paper has two kinds. A *stage group* is a residual stream, in which the outputs of several
    layers are added. An *inner group* lies between the convolutions of a block.

    Attributes:
        name: the first layer that writes these channels.
        size: number of channels at full width.
        stage: for an inner group, the index of the stage group around it; None for any other.
        readers: names of the weights that read these channels. They lie along dimension 1.
        unit: how many channels of the network each stands for. Above 1, they are kept or dropped
            together: the groups of a group norm or convolution, and the heads of attention with
            separate layers for queries, keys and values.
    """

    name: str
    size: int
    stage: int | None
    readers: tuple[str, ...]
    unit: int = 1


@dataclass(frozen=True)
class ChannelMap:
    """The groups of a network, and where their channels lie in its tensors.

    Attributes:
        groups: the coupled groups, in the order of the network.
        axes: tensor name -> {dimension: the channels along it}. Tensors without channels of any
            group are not listed.
        shapes: shape of every parameter and persistent buffer at full width.
        trained: names of the parameters. All other names are buffers.
        uses: weight of a convolution or linear layer -> how often an image's forward pass applies
            it, such as once for each output pixel.
    """

    groups: tuple[Group, ...]
    axes: Mapping[str, Mapping[int, Axis]]
    shapes: Mapping[str, torch.Size]
    trained: frozenset[str]
    uses: Mapping[str, int]

    @property
    def full(self) -> tuple[int, ...]:
        """The number of channels of each group at full width."""
        return tuple(group.size for group in self.groups)

    def shape(self, name: str, counts: Sequence[int]) -> tuple[int, ...]:
        """Return the shape of a tensor if group g keeps ``counts[g]`` channels."""
        axes = self.axes.get(name, {})
        return tuple(
            axes[d].size(counts) if d in axes else size for d, size in enumerate(self.shapes[name])
        )

    def counts_of(self, tensors: Mapping[str, Tensor]) -> tuple[int, ...]:
        """Return how many channels of each group ``tensors`` have, according to their shapes.

        A group that shares all its axes with other groups counts as full.
        """
        counts = list(self.full)
        for name, tensor in tensors.items():
            for dimension, axis in self.axes.get(name, {}).items():
                if (group := axis.sole_group) is not None:
                    counts[group] = tensor.shape[dimension] * self.full[group] // len(axis)
        return tuple(counts)

    def parameters(self, counts: Sequence[int]) -> int:
        """Return the number of parameters at ``counts``, head and batch-norm included."""
        return sum(math.prod(self.shape(name, counts)) for name in self.trained)

    def flops(self, counts: Sequence[int]) -> int:
        """Return the FLOPs of one image's forward pass at ``counts``.

        A multiply-add is 2 FLOPs. Only convolutions and linear layers count, as is usual.
        """
        return 2 * sum(
            uses * math.prod(self.shape(name, counts)) for name, uses in self.uses.items()
        )

    def take(self, tensors: Mapping[str, Tensor], selection: Selection) -> dict[str, Tensor]:
        """Return the selected part of each tensor, by name.

        If the selection is a number and the group's channels lie in order, the result is a view:
        gradients reach the tensor, and writing changes it. Otherwise it is a copy, and gradients
        reach the tensor too.

        Args:
            tensors: parameters and buffers of the network, at full width or narrowed.
            selection: for each group, how many of the channels present are kept, or which.
        """
        have = self.counts_of(tensors)
        return {name: self._take(name, tensor, selection, have) for name, tensor in tensors.items()}

    def _take(self, name: str, tensor: Tensor, selection: Selection, have: Sequence[int]) -> Tensor:
        for dimension, axis in self.axes.get(name, {}).items():
            if axis.ordered_group is None:
                wanted = [(selection[group], have[group]) for group in axis.groups]
                if any(isinstance(kept, Tensor) or kept != count for kept, count in wanted):
                    positions = axis.selected(selection, have).to(tensor.device)
                    tensor = tensor.index_select(dimension, positions)
                continue
            kept = selection[axis.ordered_group]
            if isinstance(kept, Tensor):
                tensor = tensor.index_select(dimension, kept)
            elif kept != tensor.shape[dimension]:
                tensor = tensor.narrow(dimension, 0, kept)
        return tensor
