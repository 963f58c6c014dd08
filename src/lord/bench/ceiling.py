"""Measure the limit of the hardware: matrix products and convolutions without a training loop."""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from lord.networks.pointwise import ONEDNN_BLOCK

SECONDS = 0.5
"""Longest time that one matrix product may take."""


class Convolution(NamedTuple):
    """A convolution as it is called in a step."""

    shape: tuple[int, ...]
    """Shape of the input."""
    weights: tuple[int, ...]
    """Shape of the weight."""
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int
    input_grad: bool
    """Whether the backward pass computes the gradient of the input."""
    weight_grad: bool
    """Whether the backward pass computes the gradient of the weight."""


def matmul_ceiling(device: torch.device, dtype: torch.dtype, size: int = 2048) -> float:
    """Return the FLOP/s of a large square matrix product.

    Args:
        device: device to measure.
        dtype: type of the numbers.
        size: most rows of the matrices. They have fewer if one product would take seconds, as in
            bf16 on a CPU without bf16 arithmetic.
    """
    rows = min(size, 256)
    while rows < size and 8 * _product(rows, device, dtype, repeats=1) < SECONDS:
        rows *= 2
    return 2 * rows**3 / _product(rows, device, dtype, repeats=5)


def _product(rows: int, device: torch.device, dtype: torch.dtype, repeats: int) -> float:
    """Return the seconds of a square matrix product."""
    a, b = torch.randn(2, rows, rows, device=device).to(dtype)
    return median_seconds(lambda: a @ b, device, repeats)


@torch.no_grad()
def bare_seconds(
    calls: Mapping[Convolution, int], device: torch.device, dtype: torch.dtype
) -> float:
    """Return the seconds of convolutions run one by one, forward and backward, channels last.

    Args:
        calls: how often each convolution is called, as ``convolution_calls`` returns it.
        device: device to measure.
        dtype: type of the numbers.
    """
    return sum(count * _bare(_safe(call, device), device, dtype) for call, count in calls.items())


def median_seconds(work: Callable[[], object], device: torch.device, repeats: int = 7) -> float:
    """Return the median time of ``work`` over ``repeats`` calls, after two calls to warm up."""
    times = []
    for _ in range(repeats + 2):
        wait(device)
        start = time.perf_counter()
        work()
        wait(device)
        times.append(time.perf_counter() - start)
    return statistics.median(times[2:])


def wait(device: torch.device) -> None:
    """Wait until the device has finished all its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _safe(call: Convolution, device: torch.device) -> Convolution:
    """Replace a convolution that crashes oneDNN by the one that ``StridedPointwise`` runs."""
    pointwise = call.weights[2:] == (1, 1) and call.padding == (0, 0)
    if device.type != "cpu" or not pointwise or call.weights[1] >= ONEDNN_BLOCK:
        return call
    sides = zip(call.shape[2:], call.stride, strict=True)
    shape = (*call.shape[:2], *(-(-side // step) for side, step in sides))
    return call._replace(shape=shape, stride=(1, 1))


def _bare(call: Convolution, device: torch.device, dtype: torch.dtype) -> float:
    def random(size: tuple[int, ...]) -> Tensor:
        return torch.randn(size, device=device).to(dtype, memory_format=torch.channels_last)

    x, w = random(call.shape), random(call.weights)
    settings = (call.stride, call.padding, call.dilation, False, (0, 0), call.groups)
    out = torch.ops.aten.convolution(x, w, None, *settings)
    gradient = random(tuple(out.shape))

    def work() -> None:
        torch.ops.aten.convolution(x, w, None, *settings)
        if call.input_grad or call.weight_grad:
            wanted = [call.input_grad, call.weight_grad, False]
            torch.ops.aten.convolution_backward(gradient, x, w, None, *settings, wanted)

    return median_seconds(work, device)
