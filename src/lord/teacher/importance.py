"""The importance of channels to the layers that read them."""

import torch
from torch import Tensor, nn

from lord.channels import ChannelMap


@torch.no_grad()
def by_importance(channels: ChannelMap, network: nn.Module) -> dict[int, Tensor]:
    """Return the order of each inner group's channels by importance, largest first.

    A channel's importance is the L1 norm of all weights that read it (Liu et al. 2025). Only the
    channels that the network has are ranked. The authors' code ranks inactive ones too.

    Args:
        channels: the network's channel map.
        network: at full width or narrowed.

    Returns:
        Group index -> a permutation of the channels present, for ``permute``.
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
            positions, read = channels.axes[name][1].positions_of(index, have)
            total.index_add_(0, read.to(norms.device), norms[positions.to(norms.device)])
        orders[index] = total.argsort(descending=True, stable=True)
    return orders
