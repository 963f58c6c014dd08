"""Count the FLOPs of layers at almost no cost, for code that runs a layer's backward pass once.

The FLOPs of a layer depend only on shapes. They are computed for the first call with new shapes.
Later calls are looked up.
"""

from math import prod
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.utils._python_dispatch import _disable_current_modes

from lord.costs.flops import FlopCount
from lord.costs.stated import COUNTING

SKIPPED, LINEAR, CONVOLUTION, ATTENTION, MEASURED = range(5)
"""Kinds of modules. A module with an attribute ``counts_flops`` is measured when it has new shapes.

An attention module with ``qkv`` and ``num_heads`` has two matrix products, in addition to its
layers. As usual, batch norm, activations and pooling are not counted.
"""


class LayerCount:
    """Context manager that counts the FLOPs of every convolution and linear layer that runs.

    If a pass records gradients, the FLOPs of its backward pass are added at once. They include the
    gradient of a weight that is trained, and the gradient of an input that needs one. So the total
    is wrong for code that computes outside layers, or runs backward passes more or less often.
    ``Meter`` checks it.

    >>> with LayerCount() as count, torch.no_grad():
    ...     _ = nn.Linear(3, 5)(torch.zeros(2, 3))
    >>> count.total
    60
    """

    def __init__(self) -> None:
        self.total = 0
        self._kinds: dict[type[nn.Module], int] = {}
        self._known: dict[tuple[object, ...], int] = {}
        self.hidden = False
        """Whether calls are not counted now."""

    def __enter__(self) -> "LayerCount":
        self._hook = register_module_forward_pre_hook(self._count)
        COUNTING.append(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        COUNTING.remove(self)
        self._hook.remove()

    def _count(self, layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        """Add a call. This runs for every module, so it avoids slow attributes."""
        kind = self._kinds.get(layer.__class__)
        if kind is None:
            kind = self._kinds[layer.__class__] = _kind(layer)
        if kind is SKIPPED or self.hidden or not inputs or not isinstance(inputs[0], Tensor):
            return
        if kind is ATTENTION:
            self.total += _attention_products(layer, inputs[0])
            return
        x, values = inputs[0], layer.__dict__
        weight = values["_parameters"].get("weight")
        back = torch.is_grad_enabled()
        input_grad = back and x.requires_grad
        weight_grad = back and weight is not None and weight.requires_grad
        shape = weight is None or weight.shape
        key: tuple[object, ...] = (layer.__class__, x.shape, shape, input_grad, weight_grad)
        if kind is CONVOLUTION:
            key += _geometry(values)
        try:
            self.total += self._known[key]
        except KeyError:
            self._known[key] = self._cost(kind, layer, x, input_grad, weight_grad)
            self.total += self._known[key]

    def _cost(
        self, kind: int, layer: nn.Module, x: Tensor, input_grad: bool, weight_grad: bool
    ) -> int:
        """Return the FLOPs of one call and its backward pass."""
        try:
            if kind is MEASURED:
                return self._measure(layer, x, input_grad, weight_grad)
            if isinstance(layer, _ConvNd):
                forward = _convolution(layer, x)
            else:
                assert isinstance(layer, nn.Linear)
                forward = 2 * x.numel() * len(layer.weight)
            return forward * (1 + input_grad + weight_grad)
        except Exception:  # such as a subclass with other arguments; a check finds the difference
            return 0

    def _measure(self, layer: nn.Module, x: Tensor, input_grad: bool, weight_grad: bool) -> int:
        """Count one call and its backward pass on the meta device, where nothing is computed."""
        self.hidden = True
        try:
            with _disable_current_modes(), FlopCount() as count:
                weights = {
                    name: torch.empty(p.shape, device="meta", requires_grad=weight_grad)
                    for name, p in layer.named_parameters()
                }
                meta = torch.empty(x.shape, device="meta", requires_grad=input_grad)
                out = functional_call(layer, weights, (meta,))
                if out.requires_grad:
                    out.sum().backward()
            return count.total
        finally:
            self.hidden = False


def _convolution(layer: _ConvNd, x: Tensor) -> int:
    """Return the FLOPs of a convolution's forward pass."""
    kernel = layer.kernel_size
    places = list(x.shape[-len(kernel) :])
    if not layer.transposed and layer.padding != "same":
        padding = [0] * len(kernel) if isinstance(layer.padding, str) else layer.padding
        for n, size in enumerate(kernel):
            reach = layer.dilation[n] * (size - 1) + 1
            places[n] = (places[n] + 2 * padding[n] - reach) // layer.stride[n] + 1
    images = len(x) if x.dim() > len(kernel) + 1 else 1
    return 2 * images * prod(places) * layer.weight.numel()


def _kind(layer: nn.Module) -> int:
    if isinstance(layer, _ConvNd):
        return CONVOLUTION
    if isinstance(layer, nn.Linear):
        return LINEAR
    if hasattr(layer, "counts_flops"):
        return MEASURED
    if isinstance(getattr(layer, "qkv", None), nn.Linear) and hasattr(layer, "num_heads"):
        return ATTENTION
    return SKIPPED


def _geometry(values: dict[str, Any]) -> tuple[object, ...]:
    """Return what affects a convolution's FLOPs in addition to the shapes."""
    stride, padding, dilation = values["stride"], values["padding"], values["dilation"]
    if not (stride.__class__ is padding.__class__ is dilation.__class__ is tuple):
        stride, padding, dilation = map(_hashable, (stride, padding, dilation))
    return stride, padding, dilation, values["groups"], values["output_padding"]


def _hashable(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _attention_products(layer: nn.Module, x: Tensor) -> int:
    """Count the products of queries with keys and of attention weights with values.

    The backward pass costs twice as much as the forward pass. Kernels on GPUs compute the product
    of queries and keys again in it, as PyTorch's counter says.
    """
    assert isinstance(layer.qkv, nn.Linear)
    weight = layer.qkv.weight
    count, length = x.shape[:2]
    product = 2 * count * length**2 * (len(weight) // 3)
    back = torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad)
    return product * ((7 if x.is_cuda else 6) if back else 2)
