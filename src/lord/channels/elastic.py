"""A network that is trained at one width after another."""

from collections import defaultdict
from collections.abc import Sequence
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
                network computes what the smaller one did.
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
            carry_over(optimizer, old, module)
        self.module, self.counts = module, tuple(counts)
        return module

    @torch.no_grad()
    def write_back(self) -> None:
        """Bring the live part of the full state up to date."""
        live = tensors_of(self.module)
        for name, place in self.channels.take(self.full, self.counts).items():
            if place.data_ptr() != live[name].data_ptr():
                place.copy_(live[name])

    def _isolate(self, module: nn.Module, kept: Sequence[int]) -> None:
        weights = tensors_of(module)
        for index, group in enumerate(self.channels.groups):
            for name in group.readers:
                writer = self.channels.axes[name].get(0)
                old = len(weights[name]) if writer is None else kept[writer]
                weights[name][:old, kept[index] :] = 0

    def state_dict(self) -> dict[str, Any]:
        """Width and full state. The live module's tensors are its owner's to save."""
        return {"counts": self.counts, "full": self.full}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any], optimizer: Optimizer | None) -> nn.Module:
        """Take over a saved width and full state; returns the live module, to be loaded next."""
        module = self.resize(state["counts"], optimizer)
        for name, tensor in state["full"].items():
            self.full[name].copy_(tensor)
        return module


def carry_over(optimizer: Optimizer, old: nn.Module, new: nn.Module) -> None:
    """Give ``optimizer`` the parameters of ``new``, and fit the state it had for those of ``old``.

    Both modules have the same parameter names. A state tensor with its parameter's shape keeps
    its leading part in every dimension and is zero elsewhere; any other state is kept.
    """
    fresh = dict(new.named_parameters())
    successor: dict[Tensor, nn.Parameter] = {p: fresh[n] for n, p in old.named_parameters()}
    state: defaultdict[Tensor, Any] = defaultdict(dict)
    for parameter, values in optimizer.state.items():
        heir = successor[parameter]
        state[heir] = {key: _fit(value, parameter, heir) for key, value in values.items()}
    optimizer.state = state
    for group in optimizer.param_groups:
        group["params"] = [successor[p] for p in group["params"]]


def _fit(value: Any, parameter: Tensor, heir: Tensor) -> Any:
    if not isinstance(value, Tensor) or value.shape != parameter.shape:
        return value
    fitted = torch.zeros_like(heir, requires_grad=False)
    common = tuple(slice(min(a, b)) for a, b in zip(value.shape, heir.shape, strict=True))
    fitted[common] = value[common]
    return fitted
