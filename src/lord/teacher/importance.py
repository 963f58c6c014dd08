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
    orders = {}
    for index, group in enumerate(channels.groups):
        if group.stage is not None:
            norms = [
                weights[name].abs().transpose(0, 1).flatten(1).sum(1) for name in group.readers
            ]
            orders[index] = torch.stack(norms).sum(0).argsort(descending=True, stable=True)
    return orders
