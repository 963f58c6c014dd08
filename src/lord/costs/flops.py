"""Count the FLOPs of every pass at almost no cost.

The FLOPs of a layer depend only on shapes. PyTorch's counter measures the first call with new
shapes on the meta device, where nothing is computed. Later calls are looked up.
"""

from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.utils.flop_counter import FlopCounterMode

LAYERS = (_ConvNd, nn.Linear)
"""Layers that are counted. As usual, batch norm, activations and pooling are not.

Two other kinds of module are counted: any module with an attribute ``counts_flops``, and the two
matrix products of an attention module with ``qkv`` and ``num_heads``.
"""
GEOMETRY = ("stride", "padding", "dilation", "groups", "transposed", "output_padding")
"""Attributes of a convolution that affect its FLOPs, in addition to the shapes."""


class FlopCount:
    """Context manager that counts the FLOPs of every convolution and linear layer that runs.

    A multiply-add is 2 FLOPs. If a pass records gradients, the FLOPs of its backward pass are added
    at once. They include the gradient of a weight that is trained, and the gradient of an input
    that needs one.

    >>> with FlopCount() as count, torch.no_grad():
    ...     _ = nn.Linear(3, 5)(torch.zeros(2, 3))
    >>> count.total
    60
    """

    def __init__(self) -> None:
        self.total = 0
        self._known: dict[tuple[object, ...], int] = {}
        self._measuring = False

    def __enter__(self) -> "FlopCount":
        self._hook = register_module_forward_pre_hook(self._count)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._hook.remove()

    def _count(self, layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        if self._measuring:
            return
        qkv = getattr(layer, "qkv", None)
        if isinstance(qkv, nn.Linear) and hasattr(layer, "num_heads"):
            self.total += _attention_products(qkv, inputs[0])
        if not (isinstance(layer, LAYERS) or hasattr(layer, "counts_flops")):
            return
        x, weight = inputs[0], getattr(layer, "weight", None)
        back = torch.is_grad_enabled()
        trained = isinstance(weight, Tensor) and weight.requires_grad
        needs = (back and x.requires_grad, back and trained)
        shape = weight.shape if isinstance(weight, Tensor) else None
        geometry = (getattr(layer, name, None) for name in GEOMETRY)
        key = (type(layer), x.shape, shape, *needs, *geometry)
        if key not in self._known:
            self._measuring = True
            try:
                self._known[key] = _measure(layer, x, *needs)
            finally:
                self._measuring = False
        self.total += self._known[key]


@torch.no_grad()
def uncounted(network: nn.Module, x: Tensor) -> float:
    """Return the share of a forward pass's FLOPs that ``FlopCount`` misses.

    PyTorch's counter gives the total. Arithmetic outside known layers is missed.
    """
    mode = network.training
    network.eval()
    with FlopCount() as ours:
        network(x)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as every:
        network(x)
    network.train(mode)
    return 1 - ours.total / max(every.get_total_flops(), ours.total, 1)


def _attention_products(qkv: nn.Linear, x: Tensor) -> int:
    """Count the products of queries with keys and of attention weights with values.

    The backward pass costs twice as much as the forward pass.
    """
    count, length = x.shape[:2]
    forward = 2 * 2 * count * length**2 * (len(qkv.weight) // 3)
    back = torch.is_grad_enabled() and (x.requires_grad or qkv.weight.requires_grad)
    return 3 * forward if back else forward


def _measure(layer: nn.Module, x: Tensor, input_grad: bool, weight_grad: bool) -> int:
    """Count one call and its backward pass on the meta device."""
    weights = {
        name: torch.empty(p.shape, device="meta", requires_grad=weight_grad)
        for name, p in layer.named_parameters()
    }
    meta = torch.empty(x.shape, device="meta", requires_grad=input_grad)
    with FlopCounterMode(display=False) as counter:
        out = functional_call(layer, weights, (meta,))
        if out.requires_grad:
            out.sum().backward()
    return counter.get_total_flops()
