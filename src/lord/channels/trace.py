"""The channel map of any traced network, found by torch-pruning's dependency graph."""

import warnings
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
import torch_pruning as tp
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from lord.channels.axis import Axis
from lord.channels.map import ChannelMap, Group
from lord.channels.members import Members, attentions, heads_of
from lord.channels.verify import verify
from lord.config import UserError

KNOWN = (nn.Conv2d, nn.Linear, _BatchNorm, nn.LayerNorm)
"""Layers whose tensors' channels are known to come first."""


def trace(network: nn.Module, example: Tensor) -> ChannelMap:
    """Find the coupled channel groups of ``network``.

    A group that nothing reads is an output (the logits) and not part of the map. A group that
    one layer writes, and whose readers all lead into one residual stream, works *inside* that
    stream; a stream is a group that several layers add to.

    Args:
        network: every weight that is to be elastic; its mode and gradients are left as they were.
        example: a batch the network accepts.

    Raises:
        UserError: names the layer whose channels cannot be mapped, and why.
    """
    _refuse_shared(network)
    modes = {module: module.training for module in network.modules()}
    frozen = [p for p in network.parameters() if not p.requires_grad]
    for parameter in frozen:  # a frozen weight is invisible to the graph
        parameter.requires_grad_(True)
    names: dict[Any, str] = {module: name for name, module in network.named_modules()}
    names |= {p: name for name, p in network.named_parameters()}
    try:
        graph, found = _graph(network, example)
        positions = _positions(network.eval(), example)
        heads = attentions(network)
        members = [_members(graph, group, names, heads) for group in found]
        drafts = sorted((m for m in members if m.readers), key=lambda m: m.rank)
        channels = _assembled(network, drafts, positions)
        verify(network, channels, example)
    finally:
        for parameter in frozen:
            parameter.requires_grad_(False)
        for module, mode in modes.items():
            module.training = mode
    return channels


def _refuse_shared(network: nn.Module) -> None:
    known: dict[int, str] = {}
    for name, parameter in network.named_parameters(remove_duplicate=False):
        if (other := known.setdefault(id(parameter), name)) != name:
            raise UserError(f"cannot map '{name}': it is '{other}' under another name")


def _graph(network: nn.Module, example: Tensor) -> tuple[tp.DependencyGraph, list[Any]]:
    """The dependency graph and its groups.

    Raises:
        UserError: where torch-pruning's arithmetic fails: channel shuffles, unusual reshapes.
    """
    try:
        with torch.enable_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what torch-pruning gives up on is refused here
            graph = tp.DependencyGraph().build_dependency(
                network, example, verbose=False, unwrapped_parameters=_raw(network)
            )
            most = 16 * max((max(p.shape, default=1) for p in network.parameters()), default=1)
            for node in graph.module2node.values():
                for edge in node.dependencies:
                    edge.index_mapping = _Bounded(edge.index_mapping, most)
            return graph, list(graph.get_all_groups(root_module_types=[nn.Conv2d, nn.Linear]))
    except (ArithmeticError, LookupError, AttributeError) as error:
        raise UserError(
            f"cannot map {type(network).__name__}: its channels cannot be followed through a "
            f"reshape or shuffle ({type(error).__name__}: {error})"
        ) from None


class _Bounded(list[Any]):
    """An edge's mappings of places; where places only multiply, as through windows that are shifted
    and cut up again, memory would be full before torch-pruning came to an end."""

    def __init__(self, mappings: list[Any], most: int) -> None:
        super().__init__(mappings)
        self.most = most

    def __iter__(self) -> Iterator[Any]:
        return (each and partial(self._mapped, each) for each in super().__iter__())

    def _mapped(self, mapping: Any, places: list[Any]) -> list[Any]:
        if len(places) > self.most:
            raise ArithmeticError(f"more than {self.most} places for channels")
        return list(mapping(places))


def _raw(network: nn.Module) -> list[tuple[nn.Parameter, int]]:
    """Parameters of the network's own modules, and the dimension their channels lie along: the
    last that is more than one."""
    own = [module for module in network.modules() if not isinstance(module, KNOWN)]
    parameters = [p for module in own for p in module.parameters(recurse=False) if p.numel() > 1]
    return [(p, max(d for d, size in enumerate(p.shape) if size > 1)) for p in parameters]


def _assembled(network: nn.Module, drafts: list[Members], positions: dict[str, int]) -> ChannelMap:
    state = network.state_dict(keep_vars=True)
    owners: dict[tuple[str, int], list[int]] = {}
    channels: dict[tuple[str, int], list[int]] = {}
    for index, draft in enumerate(drafts):
        for (name, dimension), pairs in draft.places.items():
            if name not in state:
                raise UserError(f"cannot map '{name}': it is computed from other parameters")
            size = state[name].shape[dimension]
            if max(place for place, _ in pairs) >= size:
                raise UserError(
                    f"cannot map the channels of layer '{draft.writers[0]}': '{name}' has fewer"
                )
            owner = owners.setdefault((name, dimension), [-1] * size)
            channel = channels.setdefault((name, dimension), list(range(size)))
            for place, own in pairs:
                owner[place], channel[place] = index, own
    axes: dict[str, dict[int, Axis]] = {}
    for (name, dimension), owner in owners.items():
        axes.setdefault(name, {})[dimension] = Axis(tuple(owner), tuple(channels[name, dimension]))
    groups = tuple(
        Group(
            draft.writers[0],
            draft.size,
            _stage(index, drafts, axes),
            tuple(f"{reader}.weight" for reader in draft.readers),
        )
        for index, draft in enumerate(drafts)
    )
    return ChannelMap(
        groups,
        axes,
        {name: tensor.shape for name, tensor in state.items()},
        frozenset(name for name, _ in network.named_parameters()),
        positions,
    )


@torch.no_grad()
def _positions(network: nn.Module, example: Tensor) -> dict[str, int]:
    """Where the arithmetic is: each weight, and how often an image meets it."""
    found: defaultdict[str, int] = defaultdict(int)

    def note(name: str, layer: nn.Conv2d | nn.Linear, _: object, out: Tensor) -> None:
        found[f"{name}.weight"] += out.numel() // (len(example) * len(layer.weight))

    hooks = [
        layer.register_forward_hook(partial(note, name))
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Conv2d | nn.Linear)
    ]
    network(example)
    for hook in hooks:
        hook.remove()
    return dict(found)


def _members(
    graph: tp.DependencyGraph,
    group: tp.dependency.Group,
    names: dict[Any, str],
    heads: dict[str, tuple[int, int]],
) -> Members:
    members = Members(len(group[0].idxs))
    order = {name: place for place, name in enumerate(names.values())}
    root = names[group[0].dep.target.module]
    if root in heads:
        return heads_of(root, *heads[root], order)
    for item in group:
        module = item.dep.target.module
        if module not in names:  # an addition, a reshape: nothing to index
            continue
        name = names[module]
        pairs = [(int(p), int(c)) for p, c in zip(item.idxs, item.root_idxs, strict=True)]
        written = graph.is_out_channel_pruning_fn(item.dep.pruning_fn)
        if isinstance(module, nn.Conv2d) and module.groups > 1:
            if not (module.groups == module.in_channels == module.out_channels):
                raise UserError(
                    f"cannot map layer '{name}': of grouped convolutions, only depthwise"
                )
            _note(members, module, name, pairs)
        elif isinstance(module, nn.Conv2d | nn.Linear):
            (members.writers if written else members.readers).append(name)
            if written:
                _note(members, module, name, pairs)
            else:
                members.places.setdefault((f"{name}.weight", 1), []).extend(pairs)
        elif isinstance(module, _BatchNorm | nn.LayerNorm):
            _note(members, module, name, pairs)
        elif isinstance(module, nn.Parameter):
            members.places.setdefault((name, item.dep.target.pruning_dim), []).extend(pairs)
        else:
            kind = type(module).__name__
            raise UserError(f"cannot map the channels of layer '{name}': {kind} is not known")
    for listed in (members.writers, members.readers):
        listed[:] = sorted(dict.fromkeys(listed), key=order.__getitem__)
    members.rank = min((order[name] for name in members.writers), default=0)
    if members.readers and not members.writers:
        raise UserError(f"cannot map what layer '{members.readers[0]}' reads: nothing writes it")
    return members


def _note(members: Members, module: nn.Module, name: str, pairs: list[tuple[int, int]]) -> None:
    """Every tensor of a layer that has its channels first."""
    own = dict(module.named_parameters(recurse=False)) | dict(module.named_buffers(recurse=False))
    for leaf, tensor in own.items():
        if tensor is not None and tensor.dim() > 0:
            members.places.setdefault((f"{name}.{leaf}", 0), []).extend(pairs)


def _stage(index: int, drafts: list[Members], axes: dict[str, dict[int, Axis]]) -> int | None:
    here, met = index, {index}
    while len(drafts[here].writers) == 1:
        into = [axes[f"{reader}.weight"].get(0) for reader in drafts[here].readers]
        following = {axis.plain if axis else None for axis in into}
        if len(following) != 1 or None in following:
            return None
        (here,) = (group for group in following if group is not None)
        if here in met:
            return None
        met.add(here)
    return None if here == index else here
