"""Channels that are kept or dropped together: groups of a norm or convolution, and heads."""

from bisect import bisect
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from torch import nn

from lord.channels.attention import Attention, find_attentions
from lord.channels.errors import cannot_resize
from lord.channels.members import Members
from lord.channels.standin import StandIn
from lord.config import UserError

INPUTS = -1
"""The dimension of a spot among the inputs of a grouped convolution. Its weight has none."""
Spot = tuple[str, int, int]
"""A tensor's name, one of its dimensions and a position along it."""


@dataclass(frozen=True)
class Bond:
    """Channels that have to be kept or dropped together.

    Attributes:
        layer: name of the layer that needs it.
        setting: the layer's setting that decides which channels belong together.
        spots: where the channels lie.
    """

    layer: str
    setting: str
    spots: Sequence[Spot]


def bonds_of(network: nn.Module, tied: bool) -> Iterator[Bond]:
    """Yield the bonds of all layers of a network.

    A group norm and a grouped convolution keep whole groups, so that the kept ones compute what
    they did. Attention keeps whole heads.

    Args:
        network: with stand-ins for ``nn.MultiheadAttention``.
        tied: whether an attention module needs as many input channels as its heads have together.
            ``nn.MultiheadAttention`` always does.
    """
    for name, layer in network.named_modules():
        weight = f"{name}.weight"
        if isinstance(layer, nn.GroupNorm) and layer.num_groups > 1:
            for part in _parts(layer.num_channels, layer.num_groups):
                yield Bond(name, "num_groups", [(weight, 0, at) for at in part])
        elif isinstance(layer, nn.Conv2d) and layer.groups > 1 and not is_depthwise(layer):
            outputs = _parts(layer.out_channels, layer.groups)
            inputs = _parts(layer.in_channels, layer.groups)
            for written, read in zip(outputs, inputs, strict=True):
                spots = [(weight, 0, at) for at in written] + [(weight, INPUTS, at) for at in read]
                yield Bond(name, "groups", spots)
    for name, attention in find_attentions(network).items():
        module = network.get_submodule(name)
        yield from _head_bonds(module, name, attention, tied or isinstance(module, StandIn))


def _head_bonds(module: nn.Module, name: str, attention: Attention, tied: bool) -> Iterator[Bond]:
    """Yield the bonds of an attention module."""
    joint, width = attention.joint, attention.width
    weights = [f"{name}.{layer}.weight".lstrip(".") for layer in attention.inputs]
    if not joint and width % attention.heads == 0:
        for part in _parts(width, attention.heads):
            spots = [(weight, 0, at) for weight in weights for at in part]
            yield Bond(name, attention.counter, spots)
    if not tied or module.get_submodule(attention.inputs[0]).in_features != width:
        return
    inner = (f"{name}.proj.weight".lstrip("."), 1) if joint else (weights[0], 0)
    packed = isinstance(module, StandIn) and module._qkv_same_embed_dim
    readers = weights if packed else weights[:1]
    for at in range(width):
        spots = [(*inner, at), *((weight, 1, at) for weight in readers)]
        yield Bond(name, attention.counter, spots)


def is_depthwise(layer: nn.Conv2d) -> bool:
    """Return whether each output channel of a convolution reads the one input channel before it."""
    return layer.groups == layer.in_channels == layer.out_channels


def _parts(channels: int, groups: int) -> list[range]:
    size = channels // groups
    return [range(first, first + size) for first in range(0, channels, size)]


class _Sets:
    """Disjoint sets of the numbers below ``size``, at first of one number each."""

    def __init__(self, size: int) -> None:
        self._parent = list(range(size))

    def _root(self, number: int) -> int:
        while self._parent[number] != number:
            self._parent[number] = number = self._parent[self._parent[number]]
        return number

    def join(self, one: int, other: int) -> None:
        """Join the sets of two numbers."""
        low, high = sorted((self._root(one), self._root(other)))
        self._parent[high] = low

    def all(self) -> list[list[int]]:
        """Return the sets, ordered by their least number."""
        found: dict[int, list[int]] = {}
        for number in range(len(self._parent)):
            found.setdefault(self._root(number), []).append(number)
        return list(found.values())


def keep_whole(groups: list[Members], bonds: Iterable[Bond]) -> list[Members]:
    """Return the groups with bonded channels as units, which are kept or dropped together.

    Groups with bonds between them become one.

    Raises:
        UserError: if some channels of a bond cannot be dropped, the units of a group differ, or
            several bonds leave one unit.
    """
    bonds = list(bonds)
    if not bonds:
        return groups
    first = list(accumulate((group.size for group in groups), initial=0))
    channel_at = {spot: first[i] + c for i, group in enumerate(groups) for spot, c in _spots(group)}
    channels, clusters = _Sets(first[-1]), _Sets(len(groups))
    bond_of: dict[int, Bond] = {}
    shared: set[int] = set()  # groups with several bonds
    for bond in bonds:
        found = [channel_at[spot] for spot in bond.spots if spot in channel_at]
        if found and len(found) < len(bond.spots):
            raise _not_whole(bond)
        for channel in found:
            channels.join(found[0], channel)
            clusters.join(bisect(first, found[0]) - 1, bisect(first, channel) - 1)
            index = bisect(first, channel) - 1
            shared |= {index} if bond_of.get(index, bond) != bond else set()
            bond_of[index] = bond
    units = channels.all()
    merged = []
    for cluster in clusters.all():
        if cluster[0] not in bond_of:
            merged.append(groups[cluster[0]])
            continue
        bond = bond_of[cluster[0]]
        inside = [unit for unit in units if bisect(first, unit[0]) - 1 in cluster]
        kinds = {tuple(sorted(Counter(bisect(first, c) for c in unit).items())) for unit in inside}
        if len(kinds) > 1:
            raise _not_whole(bond)
        if len(inside) == 1 and cluster[0] in shared:
            raise _inseparable(bond)
        number = {channel: index for index, unit in enumerate(inside) for channel in unit}
        merged.append(_joined([(groups[i], first[i]) for i in cluster], number, len(inside)))
    return merged


def _spots(group: Members) -> Iterator[tuple[Spot, int]]:
    """Yield where the channels of a group lie."""
    for (tensor, dimension), cells in group.cells.items():
        yield from (((tensor, dimension, position), channel) for position, channel in cells)
    for layer, cells in group.grouped.items():
        yield from (((f"{layer}.weight", INPUTS, position), channel) for position, channel in cells)


def _joined(groups: list[tuple[Members, int]], unit_of: dict[int, int], units: int) -> Members:
    """Return one group of units.

    Args:
        groups: groups, and the number of their first channel.
        unit_of: number of a channel -> its unit.
        units: how many there are.
    """
    written = [group.unit * group.size for group, _ in groups if group.writers]
    joined = Members(units, unit=max(written, default=units) // units)
    for group, first in groups:
        joined.writers += group.writers
        joined.readers += group.readers
        for (tensor, dimension), cells in group.cells.items():
            joined.add(tensor, dimension, [(at, unit_of[first + c]) for at, c in cells])
    return joined


def _inseparable(bond: Bond) -> UserError:
    why = f"its '{bond.setting}' and those of layers on the same channels cannot be separated"
    change = "give each of them several groups or heads, in numbers that divide each other"
    return cannot_resize(f"layer '{bond.layer}'", why, change)


def _not_whole(bond: Bond) -> UserError:
    why = f"its groups of channels ('{bond.setting}') cannot be kept or dropped whole"
    change = "give it groups that each lie in one part of a concatenation, and never in the images"
    return cannot_resize(f"layer '{bond.layer}'", why, change)
