"""A network that is trained at one width after another."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypedDict

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lord.channels.map import ChannelMap
from lord.channels.modules import assemble, skeleton_of, tensors_of
from lord.channels.order import permute, permute_tensors

SQUARES = ("exp_avg_sq", "max_exp_avg_sq", "square_avg", "exp_inf", "sum")
"""Names under which PyTorch's optimizers keep a mean or a sum of squared gradients."""
Index = tuple[slice | Tensor, ...]
"""An index of a tensor: one entry for each dimension."""


class ElasticState(TypedDict):
    """The state of an ``Elastic`` in a checkpoint."""

    counts: tuple[int, ...]
    full: dict[str, Tensor]


class Elastic:
    """A network at full width, and the narrower ordinary module that is trained.

    Inactive channels keep their initial values until the network grows to include them.

    >>> from lord.channels import trace
    >>> network = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> elastic = Elastic(network, trace(network, torch.zeros(1, 3)))
    >>> elastic.resize([4])
    Sequential(
      (0): Linear(in_features=3, out_features=4, bias=True)
      (1): ReLU()
      (2): Linear(in_features=4, out_features=2, bias=True)
    )

    Args:
        network: the network at full width. Its tensors become the full state.
        channels: its channel map.

    Attributes:
        module: the module that is trained. It is replaced at each change of width.
        counts: number of channels of each group in ``module``.
        full: every parameter and buffer at full width. A change of width, or ``write_back``,
            copies the module's values into them.
        skeleton: structure of the network, without parameter values.
    """

    def __init__(self, network: nn.Module, channels: ChannelMap) -> None:
        self.channels = channels
        self.skeleton = skeleton_of(network)
        self.full = {name: tensor.detach() for name, tensor in tensors_of(network).items()}
        self.counts: tuple[int, ...] = channels.full
        self.module = network

    @torch.no_grad()
    def resize(
        self,
        counts: Sequence[int],
        optimizer: Optimizer | None = None,
        *,
        preserve: bool = False,
    ) -> nn.Module:
        """Replace the module by one of another width, and return it.

        Args:
            counts: for each group, how many of its first channels the module has.
            optimizer: gets the new module's parameters. Its state is kept, and is zero for new
                channels.
            preserve: when the network grows, keep the function that it computes. The weights
                from new channels to old ones are set to zero. This does not suffice for
                layers that normalise over channels, such as layer-norm.
        """
        old, before = self.module, self.counts
        self.write_back()
        module = assemble(self.skeleton, self.channels.take(self.full, counts)).train(old.training)
        if preserve:
            self._cut_from_new(module, before)
        if tuple(counts) == self.channels.full:  # share the memory instead of holding it twice
            self.full = {name: tensor.detach() for name, tensor in tensors_of(module).items()}
        if optimizer:
            _carry_over(optimizer, old, module, partial(self._common, before, counts))
        self.module, self.counts = module, tuple(counts)
        return module

    @torch.no_grad()
    def permute(self, orders: Mapping[int, Tensor], optimizer: Optimizer | None = None) -> None:
        """Reorder the module's channels. The network at full width keeps its function too.

        Args:
            orders: group index -> a permutation of the channels that the module has.
            optimizer: the module's. Its state is reordered likewise.
        """
        permute(self.channels, self.module, orders, optimizer)
        full = self.channels.full
        if self.counts != full:  # otherwise the full state is the module's
            rest = {g: torch.arange(len(order), full[g]).to(order) for g, order in orders.items()}
            whole = {group: torch.cat([order, rest[group]]) for group, order in orders.items()}
            permute_tensors(self.channels, self.full, whole, {})

    @torch.no_grad()
    def write_back(self) -> None:
        """Copy the module's tensors into the full state."""
        for name, tensor in tensors_of(self.module).items():
            full = self.full[name]
            if full.data_ptr() != tensor.data_ptr():
                full[self._index(name, self.counts, self.channels.full)] = tensor

    def _cut_from_new(self, module: nn.Module, before: Sequence[int]) -> None:
        """Set the weights from new channels to old ones to zero.

        Args:
            before: for each group, the number of old channels.
        """
        tensors = tensors_of(module)
        now = self.channels.counts_of(tensors)
        old = [*map(min, before, now)]
        for name in {name for group in self.channels.groups for name in group.readers}:
            weight, axes = tensors[name], self.channels.axes[name]
            new_inputs = torch.ones(weight.shape[1], dtype=torch.bool, device=weight.device)
            new_inputs[axes[1].kept_within(old, now)] = False
            outputs = axes[0].kept_within(old, now) if 0 in axes else slice(None)
            mask = new_inputs.view(1, -1, *(1,) * (weight.dim() - 2))
            weight[outputs] = weight[outputs].masked_fill(mask, 0)

    def _index(self, name: str, counts: Sequence[int], have: Sequence[int]) -> Index:
        """Return the index that narrows a tensor from the widths ``have`` to ``counts``."""
        axes, shape = self.channels.axes.get(name, {}), self.channels.shapes[name]
        if all(axis.ordered_group is not None for axis in axes.values()):
            return tuple(
                slice(axes[d].size(counts) if d in axes else size) for d, size in enumerate(shape)
            )
        index: list[Tensor] = []
        for dimension, size in enumerate(shape):
            axis = axes.get(dimension)
            positions = axis.kept_within(counts, have) if axis else torch.arange(size)
            index.append(positions.view(-1, *(1,) * (len(shape) - dimension - 1)))
        return tuple(index)

    def _common(self, old: Sequence[int], new: Sequence[int], name: str) -> tuple[Index, Index]:
        """Return the index of the shared entries in the old tensor, and that in the new one."""
        both = [*map(min, old, new)]
        return self._index(name, both, old), self._index(name, both, new)

    def state_dict(self) -> ElasticState:
        """Return the width and the full state. Save the module's state separately."""
        return {"counts": self.counts, "full": self.full}

    @torch.no_grad()
    def load_state_dict(self, state: ElasticState, optimizer: Optimizer) -> nn.Module:
        """Load a width and a full state.

        Returns:
            The module at that width. Load its state next.
        """
        module = self.resize(state["counts"], optimizer)
        for name, tensor in state["full"].items():
            self.full[name].copy_(tensor)
        return module


def _carry_over(
    optimizer: Optimizer,
    old: nn.Module,
    new: nn.Module,
    common: Callable[[str], tuple[Index, Index]],
) -> None:
    """Replace the optimizer's parameters by those of a resized module, and resize its state.

    A state tensor with the shape of its parameter keeps the entries that both widths share, and is
    zero elsewhere. Squared gradients are elsewhere the mean of the shared entries. With zero, the
    first updates of new channels would be several times too large, because Adam counts the steps
    of a whole tensor. All other state, such as step counts, is kept.

    Args:
        optimizer: has the parameters of ``old``.
        old: the module before the change of width.
        new: the module after it, with the same parameter names.
        common: maps a parameter's name to the index of the shared entries in the old parameter,
            and that in the new one.
    """
    parameters = dict(new.named_parameters())
    names: dict[Tensor, str] = {p: name for name, p in old.named_parameters()}
    state: defaultdict[Tensor, dict[str, object]] = defaultdict(dict)
    for parameter, values in optimizer.state.items():
        name = names[parameter]
        successor = parameters[name]
        for key, value in values.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                before, after = common(name)
                shared = value[before]
                fill = float(shared.mean()) if key in SQUARES else 0.0
                resized = torch.full_like(successor, fill, requires_grad=False)
                resized[after] = shared
                value = resized
            state[successor][key] = value
    optimizer.state = state
    for group in optimizer.param_groups:
        group["params"] = [parameters[names[p]] for p in group["params"]]
