"""Coupled groups as torch-pruning's dependency graph finds them."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

import torch
import torch_pruning as tp
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from lord.channels.errors import cannot_resize
from lord.channels.members import Cells, Members, attention_members, find_attentions

SUPPORTED = (nn.Conv2d, nn.Linear, _BatchNorm, nn.LayerNorm)
"""Layers with their output channels along dimension 0 of all their tensors."""


def find_groups(network: nn.Module, example: Tensor) -> list[Members]:
    """Return the coupled groups that a layer reads, in the order of the network.

    Args:
        network: its parameters require gradients; others are not mapped.
        example: a batch that the network accepts.

    Raises:
        UserError: if the channels of a layer cannot be followed. It names the layer and the reason.
    """
    names: dict[nn.Module | Tensor, str] = {m: name for name, m in network.named_modules()}
    names |= {parameter: name for name, parameter in network.named_parameters()}
    ranks = {name: rank for rank, name in enumerate(names.values())}
    attentions = find_attentions(network)
    graph, found = _dependencies(network, example)
    groups = []
    for group in found:
        root = names[group[0].dep.target.module]
        if root in attentions:
            groups.append(attention_members(root, *attentions[root], ranks))
        else:
            groups.append(_members(graph, group, names, ranks))
    return sorted((group for group in groups if group.readers), key=lambda group: group.rank)


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
        raise cannot_resize(type(network).__name__, why) from None


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
    ranks: dict[str, int],
) -> Members:
    """Return the members of one of torch-pruning's groups.

    Raises:
        UserError: if it has a layer that is not supported, or one that reads unknown channels.
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
    members.writers = sorted(set(members.writers), key=ranks.__getitem__)
    members.readers = sorted(set(members.readers), key=ranks.__getitem__)
    members.rank = min((ranks[name] for name in members.writers), default=0)
    if members.readers and not members.writers:
        raise cannot_resize(f"layer '{members.readers[0]}'", "no supported layer writes its inputs")
    return members


def _add_layer(members: Members, layer: nn.Module, name: str, cells: Cells, writes: bool) -> None:
    """Add a layer that writes, reads or passes on the channels of a group.

    Raises:
        UserError: if this type of layer is not supported.
    """
    if isinstance(layer, nn.Conv2d) and layer.groups > 1:
        if not layer.groups == layer.in_channels == layer.out_channels:
            raise cannot_resize(f"layer '{name}'", "a grouped convolution has to be depthwise")
        members.add_layer(layer, name, cells)
    elif isinstance(layer, nn.Conv2d | nn.Linear):
        if writes:
            members.writers.append(name)
            members.add_layer(layer, name, cells)
        else:
            members.readers.append(name)
            members.add(f"{name}.weight", 1, cells)
    elif isinstance(layer, SUPPORTED):
        members.add_layer(layer, name, cells)
    else:
        raise cannot_resize(f"layer '{name}'", f"{type(layer).__name__} is not supported")
