"""Find the channel map of a network."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial

import torch
from torch import Tensor, nn

from lord.channels.attention import find_attentions
from lord.channels.axis import Axis
from lord.channels.errors import cannot_resize
from lord.channels.graph import find_groups
from lord.channels.map import ChannelMap, Group
from lord.channels.members import Members
from lord.channels.standin import PARTS
from lord.channels.verify import verify
from lord.config import UserError

Axes = dict[str, dict[int, Axis]]
Inputs = tuple[Tensor, ...]
Named = Mapping[str, Tensor]


def trace(network: nn.Module, example: Tensor) -> ChannelMap:
    """Find the coupled channel groups of ``network``, and verify them on it.

    In a stage group, the outputs of several layers are added. An inner group has one layer that
    writes it, and all its readers lead into the same stage group. Channels that no layer reads,
    such as the logits, belong to no group.

    >>> layers = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 6, 3), nn.Flatten(), nn.Linear(6, 2)
    >>> channels = trace(nn.Sequential(*layers), torch.zeros(2, 3, 5, 5))
    >>> [(group.name, group.size, group.readers) for group in channels.groups]
    [('0', 8, ('1.weight',)), ('1', 6, ('3.weight',))]

    Args:
        network: at full width. Its mode, gradients and values are not changed.
        example: a batch that the network accepts, such as N x C x H x W images.

    Raises:
        UserError: if the channels of a layer cannot be mapped. It names the layer and the reason.
    """
    _refuse_shared(network)
    with _all_trainable_in_evaluation(network):
        try:
            return _mapped(network, example, tied=False)
        except UserError:
            if not find_attentions(network):
                raise
            # Attention may compute the channels of a head from those of its input.
            with suppress(UserError):
                return _mapped(network, example, tied=True)
            raise


def _mapped(network: nn.Module, example: Tensor, *, tied: bool) -> ChannelMap:
    """Return a verified map.

    Args:
        network: in evaluation mode, without frozen parameters.
        example: a batch that the network accepts.
        tied: whether attention needs as many input channels as its heads have together.
    """
    groups = find_groups(network, example, tied)
    axes = _axes(groups, network)
    channels = ChannelMap(
        groups=tuple(_group(index, groups, axes) for index in range(len(groups))),
        axes=axes,
        shapes={n: t.shape for n, t in network.state_dict(keep_vars=True).items()},
        trained=frozenset(name for name, _ in network.named_parameters()),
        uses=_uses(network, example),
    )
    verify(network, channels, example)
    return channels


def _refuse_shared(network: nn.Module) -> None:
    """Check that no parameter has two names."""
    first: dict[int, str] = {}
    for name, parameter in network.named_parameters(remove_duplicate=False):
        if (other := first.setdefault(id(parameter), name)) != name:
            change = "do not share parameters between layers"
            raise cannot_resize(f"parameter '{name}'", f"it is shared with '{other}'", change)


@contextmanager
def _all_trainable_in_evaluation(network: nn.Module) -> Iterator[None]:
    """Put a network into evaluation mode with no frozen parameter, and restore it afterwards.

    The dependency graph does not see frozen parameters.
    """
    modes = {module: module.training for module in network.modules()}
    frozen = [p for p in network.parameters() if not p.requires_grad]
    for parameter in frozen:
        parameter.requires_grad_(True)
    network.eval()
    try:
        yield
    finally:
        for parameter in frozen:
            parameter.requires_grad_(False)
        for module, mode in modes.items():
            module.training = mode


def _axes(groups: list[Members], network: nn.Module) -> Axes:
    """Return the axes of every tensor that has channels of a group.

    Raises:
        UserError: if a group lies in a tensor that is computed, or beyond the end of one.
    """
    state = network.state_dict(keep_vars=True)
    group_at: dict[tuple[str, int], list[int]] = {}
    channel_at: dict[tuple[str, int], list[int]] = {}
    for index, group in enumerate(groups):
        for (name, dimension), cells in group.cells.items():
            if name not in state:
                why, change = "it is computed from other parameters", "remove its parametrization"
                raise cannot_resize(f"parameter '{name}'", why, change)
            size = state[name].shape[dimension]
            if max(position for position, _ in cells) >= size:
                why = f"'{name}' has fewer channels than it writes"
                change = "keep channels in one dimension and in their order"
                raise cannot_resize(f"layer '{group.writers[0]}'", why, change)
            at = group_at.setdefault((name, dimension), [-1] * size)
            channel = channel_at.setdefault((name, dimension), list(range(size)))
            for position, number in cells:
                at[position], channel[position] = index, number
    axes: Axes = {}
    for (name, dimension), at in group_at.items():
        axis = Axis(tuple(at), tuple(channel_at[name, dimension]))
        axes.setdefault(name, {})[dimension] = axis
    return axes


def _group(index: int, groups: list[Members], axes: Mapping[str, Mapping[int, Axis]]) -> Group:
    members = groups[index]
    stage = _stage(index, groups, axes)
    return Group(members.writers[0], members.size, stage, tuple(members.readers), members.unit)


def _stage(index: int, groups: list[Members], axes: Mapping[str, Mapping[int, Axis]]) -> int | None:
    """Return the stage group that a group leads into; None for a stage group, or if unclear."""
    current, visited = index, {index}
    while groups[current].inner:
        outputs = [axes[reader].get(0) for reader in groups[current].readers]
        targets = {axis.sole_group if axis else None for axis in outputs}
        target = targets.pop()
        if targets or target is None or target in visited:
            return None
        visited.add(target)
        current = target
    return None if current == index else current


@torch.no_grad()
def _uses(network: nn.Module, example: Tensor) -> dict[str, int]:
    """Count how often the forward pass of one image applies each weight."""
    uses: defaultdict[str, int] = defaultdict(int)

    def count(name: str, layer: nn.Module, inputs: Inputs, named: Named, out: Tensor) -> None:
        if isinstance(layer, nn.MultiheadAttention):
            parts = [*inputs, *(named[part] for part in PARTS if part in named)][:3]
            query, key, value = (part.numel() // part.shape[-1] // len(example) for part in parts)
            tokens = {"in": (query + key + value) // 3, "q": query, "k": key, "v": value}
            for kind, number in tokens.items():
                uses[f"{name}.{kind}_proj_weight"] += number
            uses[f"{name}.out_proj.weight"] += query
        elif isinstance(layer, nn.Conv2d | nn.Linear):
            uses[f"{name}.weight"] += out.numel() // (len(example) * len(layer.weight))

    hooks = [
        layer.register_forward_hook(partial(count, name), with_kwargs=True)
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Conv2d | nn.Linear | nn.MultiheadAttention)
    ]
    network(example)
    for hook in hooks:
        hook.remove()
    weights = dict(network.named_parameters())
    return {name: number for name, number in uses.items() if name in weights}
