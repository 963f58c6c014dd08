"""Which channels of a group matter most to the layers that read them."""

import torch
from torch import Tensor, nn

from lord.channels import ChannelMap


@torch.no_grad()
def by_importance(channels: ChannelMap, network: nn.Module) -> dict[int, Tensor]:
    """For each group inside a stream, the order of its channels by importance, largest first.

    Importance is the L1 norm of all weights that read the channel. Only the channels the
    network has are ranked; channels that are not active keep their places.
    """
    weights = dict(network.named_parameters())
    have = channels.counts_of(weights)
    orders = {}
    for index, group in enumerate(channels.groups):
        if group.stage is None:
            continue
        total = torch.zeros(have[index], device=next(network.parameters()).device)
        for name in group.readers:
            norms = weights[name].abs().transpose(0, 1).flatten(1).sum(1)
            own, of = channels.axes[name][1].owned(index, have)
            total.index_add_(0, of.to(norms.device), norms[own.to(norms.device)])
        orders[index] = total.argsort(descending=True, stable=True)
    return orders
