"""The last linear layer of a network: its input, and how to replace it."""

import copy

import torch
from torch import Tensor, nn

from lord.networks import head_name


def head_of(network: nn.Module) -> nn.Linear:
    """Return the last linear layer."""
    head = network.get_submodule(head_name(network))
    assert isinstance(head, nn.Linear)
    return head


def features_of(network: nn.Module, x: Tensor) -> Tensor:
    """Return the input of the head: N x features."""
    caught: list[Tensor] = []
    handle = head_of(network).register_forward_pre_hook(lambda _, args: caught.append(args[0]))
    try:
        network(x)
    finally:
        handle.remove()
    return caught[-1]  # the last call: FLOP counting may have called the layer before


def with_head(network: nn.Module, weight: Tensor, bias: Tensor | None = None) -> nn.Module:
    """Return the network with other weights in its head. It shares all other layers.

    Args:
        network: the original. It is not changed.
        weight: outputs x features.
        bias: one value per output; None for zeros.
    """
    head = nn.Linear(weight.shape[1], weight.shape[0], device="meta")
    head.weight = nn.Parameter(weight.detach(), requires_grad=False)
    bias = weight.new_zeros(len(weight)) if bias is None else bias.detach()
    head.bias = nn.Parameter(bias, requires_grad=False)
    return _replaced(network, head_name(network).split("."), head)


def _replaced(module: nn.Module, path: list[str], head: nn.Module) -> nn.Module:
    if not path:
        return head
    twin = copy.copy(module)
    twin._modules = dict(module._modules)
    child = module._modules[path[0]]
    assert child is not None
    twin._modules[path[0]] = _replaced(child, path[1:], head)
    return twin


def version(network: nn.Module) -> tuple[int, ...]:
    """Return a value that changes whenever a weight or a running statistic is written."""
    tensors: list[torch.Tensor] = [*network.parameters(), *network.buffers()]
    return tuple(tensor._version for tensor in tensors)
