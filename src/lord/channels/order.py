"""Reorder the channels of a network, and keep its function."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lord.channels.map import ChannelMap
from lord.channels.modules import tensors_of


@torch.no_grad()
def permute(
    channels: ChannelMap,
    network: nn.Module,
    orders: Mapping[int, Tensor],
    optimizer: Optimizer | None = None,
) -> None:
    """Reorder the channels of ``network`` in place. Its function stays the same.

    >>> from lord.channels import trace
    >>> network = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    >>> images, before = torch.ones(1, 3), network(torch.ones(1, 3))
    >>> permute(trace(network, images), network, {0: torch.tensor([3, 1, 0, 2])})
    >>> torch.allclose(network(images), before)
    True

    Args:
        channels: the network's channel map.
        network: at full width, or narrowed to the first channels of each group.
        orders: group index -> a permutation of the channels present, as a 1-D integer tensor. New
            channel i is old channel ``order[i]``.
        optimizer: every state tensor with its parameter's shape is reordered like the parameter.

    Raises:
        KeyError: if some channels of a group have more positions along an axis than others.
    """
    permute_tensors(channels, tensors_of(network), orders, optimizer.state if optimizer else {})


@torch.no_grad()
def permute_tensors(
    channels: ChannelMap,
    tensors: Mapping[str, Tensor],
    orders: Mapping[int, Tensor],
    state: Mapping[Tensor, Mapping[str, object]],
) -> None:
    """Reorder the channels of a network's tensors in place.

    Args:
        channels: the network's channel map.
        tensors: parameters and buffers by name, at full width or narrowed.
        orders: as for ``permute``.
        state: state of an optimizer by parameter.
    """
    have = channels.counts_of(tensors)
    for name, tensor in tensors.items():
        for dimension, axis in channels.axes.get(name, {}).items():
            if not axis.groups & orders.keys():
                continue
            if axis.ordered_group is not None:
                order = orders[axis.ordered_group]
            else:
                selection = [orders.get(group, count) for group, count in enumerate(have)]
                order = axis.selected(selection, have).to(tensor.device)
            values = state.get(tensor, {}).values()
            same = [v for v in values if isinstance(v, Tensor) and v.shape == tensor.shape]
            for each in (tensor, *same):
                each.copy_(each.index_select(dimension, order))
