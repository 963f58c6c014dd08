"""A network that is trained at one width after another."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lord.channels.map import ChannelMap
from lord.channels.modules import assemble, skeleton_of, tensors_of


class Elastic:
    """The full state of a network, and the ordinary narrow module that is live.

    ``full`` holds every tensor at full width. Channels that are not live keep in it the values
    they had at the start; the live part is only brought up to date when the width changes.

    Args:
        network: the network at full width. Its tensors become the full state.
        channels: its channel map.
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
        """Make the module of another width live, and return it.

        Args:
            counts: for each group, how many of its first channels are kept.
            optimizer: given the new module's parameters, its state carried over: where channels
                are new, it starts at zero.
            preserve: give the old channels weight zero from the new ones, so that a larger
                network computes what the smaller one did; not where channels are normalised
                together, as by a layer-norm.
        """
        old, kept = self.module, self.counts
        self.write_back()
        tensors = self.channels.take(self.full, counts)
        module = assemble(self.skeleton, tensors).train(old.training)
        if preserve:
            self._isolate(module, kept)
        if tuple(counts) == self.channels.full:  # all of it is live: no need to hold it twice
            self.full = {name: tensor.detach() for name, tensor in tensors_of(module).items()}
        if optimizer:
            carry_over(optimizer, old, module, partial(self._common, kept, counts))
        self.module, self.counts = module, tuple(counts)
        return module

    @torch.no_grad()
    def write_back(self) -> None:
        """Bring the live part of the full state up to date."""
        live = tensors_of(self.module)
        for name, own in live.items():
            place = self.full[name]
            if place.data_ptr() != own.data_ptr():
                place[self._grid(name, self.counts, self.channels.full)] = own

    def _isolate(self, module: nn.Module, kept: Sequence[int]) -> None:
        """Old outputs get weight zero from new channels."""
        tensors = tensors_of(module)
        now = self.channels.counts_of(tensors)
        for name in {name for group in self.channels.groups for name in group.readers}:
            weight, axes = tensors[name], self.channels.axes[name]
            new = torch.ones(weight.shape[1], dtype=torch.bool, device=weight.device)
            new[axes[1].among([*map(min, kept, now)], now)] = False
            old = axes[0].among([*map(min, kept, now)], now) if 0 in axes else slice(None)
            weight[old] = weight[old].masked_fill(new.view(1, -1, *(1,) * (weight.dim() - 2)), 0)

    def _grid(self, name: str, kept: Sequence[int], of: Sequence[int]) -> tuple[Any, ...]:
        """Index of the entries of a tensor of width ``of`` that one of width ``kept`` has."""
        axes, shape = self.channels.axes.get(name, {}), self.channels.shapes[name]
        if all(axis.plain is not None for axis in axes.values()):
            return tuple(
                slice(axes[d].size(kept) if d in axes else size) for d, size in enumerate(shape)
            )
        index: list[Tensor] = []
        for dimension, size in enumerate(shape):
            axis = axes.get(dimension)
            places = axis.among(kept, of) if axis else torch.arange(size)
            index.append(places.view(-1, *(1,) * (len(shape) - dimension - 1)))
        return tuple(index)

    def _common(
        self, old: Sequence[int], new: Sequence[int], name: str
    ) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Where what both widths have lies in the old tensor and in the new one."""
        both = [*map(min, old, new)]
        return self._grid(name, both, old), self._grid(name, both, new)

    def state_dict(self) -> dict[str, Any]:
        """Width and full state. The live module's tensors are its owner's to save."""
        return {"counts": self.counts, "full": self.full}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any], optimizer: Optimizer) -> nn.Module:
        """Take over a saved width and full state; returns the live module, to be loaded next."""
        module = self.resize(state["counts"], optimizer)
        for name, tensor in state["full"].items():
            self.full[name].copy_(tensor)
        return module


Common = Callable[[str], tuple[tuple[Any, ...], tuple[Any, ...]]]


def carry_over(optimizer: Optimizer, old: nn.Module, new: nn.Module, common: Common) -> None:
    """Give ``optimizer`` the parameters of ``new``, and fit the state it had for those of ``old``.

    Both modules have the same parameter names. A state tensor with its parameter's shape keeps
    what both have, and is zero elsewhere; any other state is kept.

    Args:
        common: of a parameter's name, where what both have lies in the old and in the new one.
    """
    fresh = dict(new.named_parameters())
    successor: dict[Tensor, str] = {p: name for name, p in old.named_parameters()}
    state: defaultdict[Tensor, Any] = defaultdict(dict)
    for parameter, values in optimizer.state.items():
        name = successor[parameter]
        heir = fresh[name]
        for key, value in values.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                fitted = torch.zeros_like(heir, requires_grad=False)
                before, after = common(name)
                fitted[after] = value[before]
                value = fitted
            state[heir][key] = value
    optimizer.state = state
    for group in optimizer.param_groups:
        group["params"] = [fresh[successor[p]] for p in group["params"]]
