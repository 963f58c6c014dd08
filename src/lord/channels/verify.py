"""Checks of a channel map against the network it describes."""

import copy

import torch
from torch import Generator, Tensor, nn
from torch.func import functional_call

from lord.channels.errors import cannot_resize
from lord.channels.map import ChannelMap, Group
from lord.channels.modules import adopt_sizes, skeleton_of, tensors_of
from lord.channels.order import permute
from lord.config import first_line

ATTENTION = "attention needs an attribute 'num_heads' and layers named 'q', 'k' and 'v'"


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
    _verify_narrowing(network, channels, noise)


def _verify_narrowing(network: nn.Module, channels: ChannelMap, noise: Tensor) -> None:
    """Check that a forward pass runs with half of all groups, and with half of some.

    Any two groups are halved one without the other in some of the passes.
    """
    size = len(channels.groups)
    trials = [{i for i in range(size) if i >> bit & 1} for bit in range(size.bit_length())]
    for halved in (set(range(size)), *trials):
        if error := _failure(network, channels, halved, noise):
            alone = (i for i in halved if _failure(network, channels, {i}, noise))
            index = next(alone, None)
            part = type(network).__name__
            if index is not None:
                part = f"layer '{channels.groups[index].name}'"
            why = f"once it is narrowed, the forward pass fails ({error})"
            change = f"compute sizes in 'forward' from the shapes of tensors; {ATTENTION}"
            raise cannot_resize(part, why, change)


def _failure(
    network: nn.Module, channels: ChannelMap, halved: set[int], noise: Tensor
) -> str | None:
    """Return why a forward pass with half of some groups fails; None if it runs."""
    counts = [g.size - (i in halved) * (g.size // 2) for i, g in enumerate(channels.groups)]
    probe, taken = skeleton_of(network), channels.take(tensors_of(network), counts)
    adopt_sizes(probe, taken)
    try:
        functional_call(probe, taken, (noise,))
    except (RuntimeError, ValueError) as error:
        return first_line(error)
    return None


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
    change = f"do not split, shift or shuffle its channels in 'forward'; {ATTENTION}"
    return cannot_resize(f"layer '{group.name}'", why, change)
