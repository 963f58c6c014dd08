"""Reordering the channels of a group, which changes a network's memory but not its function."""

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
    """Reorder channels of ``network`` in place, optimizer state along.

    Args:
        network: at full width, or narrowed to its first channels.
        orders: group index -> permutation of the channels the network has; new channel i is the
            old channel ``order[i]``.
        optimizer: every tensor of its state with its parameter's shape is permuted alike.
    """
    state = optimizer.state if optimizer else {}
    tensors = tensors_of(network)
    have = channels.counts_of(tensors)
    for name, tensor in tensors.items():
        for dimension, axis in channels.axes.get(name, {}).items():
            if not axis.groups & orders.keys():
                continue
            if axis.plain is not None:
                order = orders[axis.plain]
            else:
                wanted = [orders.get(group, count) for group, count in enumerate(have)]
                order = axis.chosen(wanted, have).to(tensor.device)
            own = state.get(tensor, {}).values()
            kept = [v for v in own if isinstance(v, Tensor) and v.shape == tensor.shape]
            for each in (tensor, *kept):
                each.copy_(each.index_select(dimension, order))
