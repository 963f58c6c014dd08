"""The channel map of any traced network, found by torch-pruning's dependency graph."""

from collections import defaultdict
from dataclasses import dataclass
from functools import partial

import torch
import torch_pruning as tp
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from lord.channels.map import ChannelMap, Group
from lord.config import UserError


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
    modes = {module: module.training for module in network.modules()}
    frozen = [p for p in network.parameters() if not p.requires_grad]
    for parameter in frozen:  # a frozen weight is invisible to the graph
        parameter.requires_grad_(True)
    try:
        with torch.enable_grad():
            graph = tp.DependencyGraph().build_dependency(network, example, verbose=False)
            found = list(graph.get_all_groups(root_module_types=[nn.Conv2d, nn.Linear]))
        positions = _positions(network.eval(), example)
    finally:
        for parameter in frozen:
            parameter.requires_grad_(False)
        for module, mode in modes.items():
            module.training = mode

    names = {module: name for name, module in network.named_modules()}
    rank = {name: place for place, name in enumerate(names.values())}
    members = [_members(graph, group, names, rank) for group in found]
    drafts = sorted((m for m in members if m.readers), key=lambda m: rank[m.writers[0]])
    axes: dict[str, dict[int, int]] = {}
    for index, draft in enumerate(drafts):
        for name, dimension in draft.places:
            axes.setdefault(name, {})[dimension] = index
    state = network.state_dict(keep_vars=True)
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


@dataclass(frozen=True)
class _Members:
    """Layers that write a group, layers that read it, and where (tensor, dimension) it lies."""

    writers: list[str]
    readers: list[str]
    places: list[tuple[str, int]]
    size: int


def _members(
    graph: tp.DependencyGraph,
    group: tp.dependency.Group,
    names: dict[nn.Module, str],
    rank: dict[str, int],
) -> _Members:
    writers: list[str] = []
    readers: list[str] = []
    places: list[tuple[str, int]] = []
    size = len(group[0].idxs)
    for item in group:
        module = item.dep.target.module
        if module not in names:  # an addition, a reshape: nothing to index
            continue
        name = names[module]
        if [int(i) for i in item.idxs] != list(range(size)):
            raise UserError(f"cannot map the channels of layer '{name}': they are regrouped there")
        if isinstance(module, nn.Conv2d | nn.Linear):
            if isinstance(module, nn.Conv2d) and module.groups != 1:
                raise UserError(f"cannot map layer '{name}': grouped convolutions are not known")
            written = graph.is_out_channel_pruning_fn(item.dep.pruning_fn)
            (writers if written else readers).append(name)
            places.append((f"{name}.weight", 0 if written else 1))
            if written and module.bias is not None:
                places.append((f"{name}.bias", 0))
        elif isinstance(module, _BatchNorm):
            own = dict(module.named_parameters()) | dict(module.named_buffers())
            places += [(f"{name}.{leaf}", 0) for leaf, tensor in own.items() if tensor.dim() == 1]
        else:
            kind = type(module).__name__
            raise UserError(f"cannot map the channels of layer '{name}': {kind} is not known")
    return _Members(
        sorted(writers, key=rank.__getitem__), sorted(readers, key=rank.__getitem__), places, size
    )


def _stage(index: int, drafts: list[_Members], axes: dict[str, dict[int, int]]) -> int | None:
    here = index
    while len(drafts[here].writers) == 1:
        into = [axes[f"{reader}.weight"].get(0) for reader in drafts[here].readers]
        if len(set(into)) != 1 or into[0] is None:
            return None
        here = into[0]
    return None if here == index else here
