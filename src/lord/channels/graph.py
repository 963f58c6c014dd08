"""Coupled groups as torch-pruning's dependency graph finds them."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

import torch
import torch_pruning as tp
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from lord.channels.attention import find_attentions, joint_members
from lord.channels.errors import cannot_resize
from lord.channels.members import Cells, Members
from lord.channels.standin import rename, with_stand_ins
from lord.channels.units import bonds_of, is_depthwise, keep_whole

SUPPORTED = (nn.Conv2d, nn.Linear, _BatchNorm, nn.LayerNorm, nn.GroupNorm)
"""Layers with their output channels along dimension 0 of all their tensors."""


def find_groups(network: nn.Module, example: Tensor, tied: bool) -> list[Members]:
    """Return the coupled groups that a layer reads, in the order of the network.

    Args:
        network: its parameters require gradients; others are not mapped.
        example: a batch that the network accepts.
        tied: whether attention needs as many input channels as its heads have together.

    Raises:
        UserError: if the channels of a layer cannot be followed. It names the layer and the reason.
    """
    parts = [name for name, _ in [*network.named_modules(), *network.named_parameters()]]
    ranks = {name: rank for rank, name in enumerate(parts)}
    network, replaced = with_stand_ins(network)
    names: dict[nn.Module | Tensor, str] = {m: name for name, m in network.named_modules()}
    names |= {parameter: name for name, parameter in network.named_parameters()}
    attentions = find_attentions(network)
    joint = {f"{path}.qkv".lstrip("."): a for path, a in attentions.items() if a.joint}
    inputs = [{f"{p}.{n}".lstrip(".") for n in a.inputs} for p, a in attentions.items()]
    graph, found = _dependencies(network, example)
    groups = []
    for group in found:
        root = names[group[0].dep.target.module]
        if root in joint:
            groups.append(joint_members(root, joint[root], ranks))
        else:
            groups.append(_members(graph, group, names))
    mapped = []
    for members in keep_whole(groups, bonds_of(network, tied)):
        members.inner = len(set(members.writers)) == 1 or set(members.writers) in inputs
        rename(members, replaced)
        members.sort(ranks)
        if members.readers and not members.writers:
            layer = members.readers[0].removesuffix(".weight")
            change = "put a convolution or a linear layer before it"
            raise cannot_resize(f"layer '{layer}'", "no supported layer writes its inputs", change)
        if members.readers:
            mapped.append(members)
    return sorted(mapped, key=lambda members: members.rank)


def _dependencies(
    network: nn.Module, example: Tensor
) -> tuple[tp.DependencyGraph, list[tp.dependency.Group]]:
    """Return torch-pruning's graph of the network, and its groups.

    Raises:
        UserError: if torch-pruning fails on it, as on channel shuffles and unusual reshapes.
    """
    try:
        with torch.enable_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the map is verified afterwards
            graph = tp.DependencyGraph().build_dependency(
                network, example, verbose=False, unwrapped_parameters=_loose_parameters(network)
            )
            largest = max((max(p.shape, default=1) for p in network.parameters()), default=1)
            for node in graph.module2node.values():
                for edge in node.dependencies:
                    edge.index_mapping = _Bounded(edge.index_mapping, 16 * largest)
            return graph, list(graph.get_all_groups(root_module_types=[nn.Conv2d, nn.Linear]))
    except (ArithmeticError, LookupError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}"
        why = f"its channels cannot be followed through a reshape or shuffle ({reason})"
        change = "keep channels in one dimension and in their order"
        raise cannot_resize(type(network).__name__, why, change) from None


def _loose_parameters(network: nn.Module) -> list[tuple[nn.Parameter, int]]:
    """Return parameters of unsupported layers, and the dimension of their channels.

    The channels lie along the last dimension whose size is above one.
    """
    others = [module for module in network.modules() if not isinstance(module, SUPPORTED)]
    parameters = [p for module in others for p in module.parameters(recurse=False) if p.numel() > 1]
    return [(p, max(d for d, size in enumerate(p.shape) if size > 1)) for p in parameters]


IndexMapping = Callable[[Sequence[object]], Iterable[object]]
"""How torch-pruning maps positions before an operation to positions after it."""


class _Bounded(list[IndexMapping | None]):
    """The index mappings of a dependency, with a limit to the number of positions.

    Networks such as Swin shift windows and cut them again. Positions then multiply until the
    memory is full.
    """

    def __init__(self, mappings: list[IndexMapping | None], limit: int) -> None:
        super().__init__(mappings)
        self.limit = limit

    def __iter__(self) -> Iterator[IndexMapping | None]:
        return (mapping and partial(self._mapped, mapping) for mapping in super().__iter__())

    def _mapped(self, mapping: IndexMapping, positions: Sequence[object]) -> list[object]:
        if len(positions) > self.limit:
            raise ArithmeticError(f"more than {self.limit} positions for channels")
        return list(mapping(positions))


def _members(
    graph: tp.DependencyGraph,
    group: tp.dependency.Group,
    names: dict[nn.Module | Tensor, str],
) -> Members:
    """Return the members of one of torch-pruning's groups.

    Raises:
        UserError: if it has a layer that is not supported.
    """
    members = Members(len(group[0].idxs))
    for item in group:
        target = item.dep.target
        if target.module not in names:  # an operation such as an addition
            continue
        name = names[target.module]
        cells = [(int(p), int(c)) for p, c in zip(item.idxs, item.root_idxs, strict=True)]
        if isinstance(target.module, nn.Parameter):
            members.add(name, target.pruning_dim, cells)
        else:
            writes = graph.is_out_channel_pruning_fn(item.dep.pruning_fn)
            _add_layer(members, target.module, name, cells, writes)
    return members


def _add_layer(members: Members, layer: nn.Module, name: str, cells: Cells, writes: bool) -> None:
    """Add a layer that writes, reads or passes on the channels of a group.

    Raises:
        UserError: if this type of layer is not supported.
    """
    if isinstance(layer, nn.Conv2d) and layer.groups > 1:
        if writes or is_depthwise(layer):
            members.add_layer(layer, name, cells)
        else:
            members.grouped.setdefault(name, []).extend(cells)
    elif isinstance(layer, nn.Conv2d | nn.Linear):
        if writes:
            members.writers.append(name)
            members.add_layer(layer, name, cells)
        else:
            members.readers.append(f"{name}.weight")
            members.add(f"{name}.weight", 1, cells)
    elif isinstance(layer, nn.GroupNorm) and not layer.affine:
        why = "without weights, its size is unknown"
        raise cannot_resize(f"layer '{name}'", why, "set 'affine=True'")
    elif isinstance(layer, SUPPORTED):
        members.add_layer(layer, name, cells)
    else:
        known = ", ".join(kind.__name__.lstrip("_") for kind in SUPPORTED)
        why = f"{type(layer).__name__} is not supported"
        change = f"replace it by one of {known} and MultiheadAttention"
        raise cannot_resize(f"layer '{name}'", why, change)
