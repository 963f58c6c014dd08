"""A channel map put to the test on the network it is of."""

import copy

import torch
from torch import Tensor, nn

from lord.channels.map import ChannelMap
from lord.channels.modules import assemble, skeleton_of, tensors_of
from lord.channels.order import permute
from lord.config import UserError, first_line


@torch.no_grad()
def verify(network: nn.Module, channels: ChannelMap, example: Tensor) -> None:
    """Reordering a group's channels must not change what the network computes, and a narrowed
    network must run; where not, the map is wrong.

    Raises:
        UserError: names the layer whose channels are not what they seem.
    """
    if example.is_meta:  # nothing is computed there
        return
    source = torch.Generator().manual_seed(0)
    # An example of zeros would show nothing where no layer has a bias.
    example = torch.randn(example.shape, generator=source).to(example)
    wanted = network.eval()(example)
    tolerance = 1e-3 * (1 + wanted.abs().max().item())
    twin = copy.deepcopy(network)
    for index, group in enumerate(channels.groups):
        order = torch.randperm(group.size, generator=source).to(example.device)
        try:
            permute(channels, twin, {index: order})
            same = (twin(example) - wanted).abs().max().item() <= tolerance
        except KeyError:  # some of its channels lie more often along an axis than others
            same = False
        if not same:
            raise UserError(
                f"cannot map the channels of layer '{group.name}': their order matters elsewhere "
                "in the network than in the layers that read them"
            )
    counts = [(group.size + 1) // 2 for group in channels.groups]
    narrow = assemble(skeleton_of(network), channels.take(tensors_of(network), counts))
    try:
        narrow(example)
    except (RuntimeError, ValueError) as error:
        said = first_line(error)
        raise UserError(
            f"cannot narrow this network: its forward pass fails then ({said})"
        ) from None
