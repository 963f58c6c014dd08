"""Make ordinary modules from tensors and a skeleton, which is a structure without values."""

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from lord.channels.attention import adopt_heads


def tensors_of(module: nn.Module) -> dict[str, Tensor]:
    """Return all parameters and persistent buffers by name. They are not copied."""
    return module.state_dict(keep_vars=True)


def skeleton_of(module: nn.Module) -> nn.Module:
    """Return a copy of the module's structure on the meta device, without parameter values.

    Non-persistent buffers keep their values, as no state dictionary has them.
    """
    twin = copy.deepcopy(module).to("meta")
    for original, copied in zip(module.modules(), twin.modules(), strict=True):
        for name in original._non_persistent_buffers_set:
            copied._buffers[name] = original._buffers[name]
    return twin


def assemble(skeleton: nn.Module, tensors: Mapping[str, Tensor]) -> nn.Module:
    """Return an ordinary contiguous module: the skeleton filled with copies of ``tensors``.

    Args:
        skeleton: the structure. It is not changed.
        tensors: every parameter and persistent buffer by name. Shapes may differ from the
            skeleton's, as the layers' size attributes are set to fit. Weights in channels-last
            order stay in it.
    """
    module = copy.deepcopy(skeleton)
    for name, tensor in tensors.items():
        owner = module.get_submodule(name.rpartition(".")[0])
        leaf = name.rpartition(".")[2]
        value = tensor.detach().clone(memory_format=_memory_format(tensor))
        if leaf in owner._parameters:
            old = owner._parameters[leaf]
            value = nn.Parameter(value, requires_grad=old is None or old.requires_grad)
        setattr(owner, leaf, value)
    adopt_sizes(module, tensors)
    return module


def batch_statistics(module: nn.Module) -> nn.Module:
    """Make every batch-norm of ``module`` normalise by its batch in either mode, and return it.

    It then has no running statistics that a forward pass could change.
    """
    for layer in module.modules():
        if isinstance(layer, _BatchNorm):
            layer.track_running_stats = False
            layer.running_mean = layer.running_var = layer.num_batches_tracked = None
    return module.eval()


def _memory_format(tensor: Tensor) -> torch.memory_format:
    """Return the order of a tensor that may be a slice: in channels-last, channels vary fastest."""
    if tensor.dim() == 4 and tensor.stride(1) == 1 and tensor.shape[2:].numel() > 1:
        return torch.channels_last
    return torch.contiguous_format


def adopt_sizes(module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Set the size attributes of all layers, in place, to the shapes of ``tensors``.

    Args:
        tensors: the parameters and buffers that ``module`` will compute with, by name.
    """
    for name, layer in module.named_modules():
        path = f"{name}." if name else ""
        adopt_heads(layer, path, tensors)
        if (weight := tensors.get(f"{path}weight")) is not None:
            _adopt(layer, weight.shape)


def _adopt(layer: nn.Module, shape: torch.Size) -> None:
    """Set the size attributes of one layer to fit a weight of this shape."""
    if isinstance(layer, nn.Linear):
        layer.out_features, layer.in_features = shape
    elif isinstance(layer, _BatchNorm):
        layer.num_features = shape[0]
    elif isinstance(layer, nn.LayerNorm):
        layer.normalized_shape = tuple(shape)
    elif isinstance(layer, nn.GroupNorm):
        layer.num_groups = _groups(layer, layer.num_groups, layer.num_channels, shape[0])
        layer.num_channels = shape[0]
    elif isinstance(layer, nn.Conv2d):
        layer.groups = _groups(layer, layer.groups, layer.out_channels, shape[0])
        layer.in_channels, layer.out_channels = shape[1] * layer.groups, shape[0]


def _groups(layer: nn.Module, groups: int, channels: int, now: int) -> int:
    """Return how many groups a layer has with ``now`` channels, if it had ``groups`` before.

    A layer that was narrowed to one group does not show that it has several, so it is noted.
    """
    if groups > 1:
        vars(layer).setdefault("channels_per_group", channels // groups)
    return now // vars(layer).get("channels_per_group", now)
