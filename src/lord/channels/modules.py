"""Ordinary modules made from a skeleton (structure without numbers) and a set of tensors."""

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def tensors_of(module: nn.Module) -> dict[str, Tensor]:
    """All parameters and persistent buffers by name: live, not copied."""
    return module.state_dict(keep_vars=True)


def skeleton_of(module: nn.Module) -> nn.Module:
    """A copy of the module's structure on the meta device, which holds no numbers but those of
    buffers that no state has."""
    twin = copy.deepcopy(module).to("meta")
    for own, other in zip(module.modules(), twin.modules(), strict=True):
        for name in own._non_persistent_buffers_set:
            other._buffers[name] = own._buffers[name]
    return twin


def assemble(skeleton: nn.Module, tensors: Mapping[str, Tensor]) -> nn.Module:
    """An ordinary contiguous module: the skeleton's structure with copies of ``tensors``.

    Their shapes may differ from the skeleton's; the layers' size attributes follow them. A
    weight in channels-last order stays in it.
    """
    module = copy.deepcopy(skeleton)
    for name, tensor in tensors.items():
        owner = module.get_submodule(name.rpartition(".")[0])
        leaf = name.rpartition(".")[2]
        own = tensor.detach().clone(memory_format=_order(tensor))
        if leaf in owner._parameters:
            wanted = owner._parameters[leaf]
            own = nn.Parameter(own, requires_grad=wanted is None or wanted.requires_grad)
        setattr(owner, leaf, own)
    adopt_sizes(module, tensors)
    return module


def batch_statistics(module: nn.Module) -> nn.Module:
    """Make every batch-norm of ``module`` normalise by its batch, in either mode, and return it.

    It then has no running statistics that a pass could change, its own or another module's.
    """
    for layer in module.modules():
        if isinstance(layer, _BatchNorm):
            layer.track_running_stats = False
            layer.running_mean = layer.running_var = layer.num_batches_tracked = None
    return module.eval()


def _order(tensor: Tensor) -> torch.memory_format:
    # The dense order a (possibly sliced) tensor has: the channels vary fastest in channels-last.
    if tensor.dim() == 4 and tensor.stride(1) == 1 and tensor.shape[2:].numel() > 1:
        return torch.channels_last
    return torch.contiguous_format


def adopt_sizes(module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Make the size attributes of all layers those of ``tensors``, which they are to work with."""
    for name, layer in module.named_modules():
        weight = tensors.get(f"{name}.weight" if name else "weight")
        if weight is not None:
            _adopt(layer, weight.shape)
        elif isinstance(getattr(layer, "proj", None), nn.Linear) and hasattr(layer, "head_dim"):
            inner = tensors[f"{name}.proj.weight" if name else "proj.weight"].shape[1]
            layer.num_heads = inner // layer.head_dim
            if hasattr(layer, "attn_dim"):  # timm's
                layer.attn_dim = inner


def _adopt(layer: nn.Module, shape: torch.Size) -> None:
    if isinstance(layer, nn.Linear):
        layer.out_features, layer.in_features = shape
    elif isinstance(layer, _BatchNorm):
        layer.num_features = shape[0]
    elif isinstance(layer, nn.LayerNorm):
        layer.normalized_shape = tuple(shape)
    elif isinstance(layer, nn.Conv2d):
        layer.out_channels = shape[0]
        if layer.groups > 1:
            vars(layer)["depthwise"] = True  # each channel by itself; one alone does not show it
        if "depthwise" in vars(layer):
            layer.groups = shape[0]
        layer.in_channels = shape[1] * layer.groups
