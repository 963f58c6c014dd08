"""Checks of a channel map against the network it describes."""

import copy

import torch
from torch import Generator, Tensor, nn

from lord.channels.errors import cannot_resize
from lord.channels.map import ChannelMap, Group
from lord.channels.modules import assemble, skeleton_of, tensors_of
from lord.channels.order import permute
from lord.config import first_line


@torch.no_grad()
def verify(network: nn.Module, channels: ChannelMap, example: Tensor) -> None:
    """Check that the map is right: reordering keeps the function, and a narrowed network runs.

    Args:
        network: put into evaluation mode, and not changed otherwise.
        channels: its map.
        example: a batch that the network accepts. Only its shape, type and device matter. On the
            meta device, which computes no values, nothing is checked.

    Raises:
        UserError: if the channels of a layer are mapped wrongly. It names the layer.
    """
    if example.is_meta:
        return
    source = torch.Generator().manual_seed(0)
    # Noise, because zeros would give zeros in every channel of a network without biases.
    noise = torch.randn(example.shape, generator=source).to(example)
    _verify_reordering(network, channels, noise, source)
    counts = [(group.size + 1) // 2 for group in channels.groups]
    narrow = assemble(skeleton_of(network), channels.take(tensors_of(network), counts))
    try:
        narrow(noise)
    except (RuntimeError, ValueError) as error:
        why = f"once it is narrowed, its forward pass fails ({first_line(error)})"
        raise cannot_resize(type(network).__name__, why) from None


def _verify_reordering(
    network: nn.Module, channels: ChannelMap, noise: Tensor, source: Generator
) -> None:
    """Check that reordering each group at random does not change the logits."""
    logits = network.eval()(noise)
    tolerance = 1e-3 * (1 + logits.abs().max().item())
    twin = copy.deepcopy(network)
    for index, group in enumerate(channels.groups):
        order = torch.randperm(group.size, generator=source).to(noise.device)
        try:
            permute(channels, twin, {index: order})
        except KeyError:
            raise _order_matters(group) from None
        if not (twin(noise) - logits).abs().max().item() <= tolerance:
            raise _order_matters(group)


def _order_matters(group: Group) -> Exception:
    why = "the order of its channels matters outside the layers known to read them"
    return cannot_resize(f"layer '{group.name}'", why)
