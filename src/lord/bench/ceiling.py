"""What the machine can do: arithmetic with nothing around it."""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor


def matmul_ceiling(device: torch.device, dtype: torch.dtype, size: int = 2048) -> float:
    """FLOP/s of a large square matrix product."""
    a, b = torch.randn(2, size, size, device=device).to(dtype)
    return 2 * size**3 / median_seconds(lambda: a @ b, device, repeats=5)


@torch.no_grad()
def bare_seconds(
    calls: Mapping[tuple[Any, ...], int], device: torch.device, dtype: torch.dtype
) -> float:
    """Seconds of convolutions alone, forward and backward, all in their best-liked layout.

    Args:
        calls: from ``convolution_calls``.
    """
    return sum(count * _bare(call, device, dtype) for call, count in calls.items())


def median_seconds(work: Callable[[], object], device: torch.device, repeats: int = 7) -> float:
    """Median over repeats of the seconds ``work`` takes, after two to warm up."""
    times = []
    for _ in range(repeats + 2):
        wait(device)
        start = time.perf_counter()
        work()
        wait(device)
        times.append(time.perf_counter() - start)
    return statistics.median(times[2:])


def wait(device: torch.device) -> None:
    """Until everything asked of the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _bare(call: tuple[Any, ...], device: torch.device, dtype: torch.dtype) -> float:
    shape, weights, stride, padding, dilation, groups, input_grad, weight_grad = call

    def made(size: tuple[int, ...]) -> Tensor:
        return torch.randn(size, device=device).to(dtype, memory_format=torch.channels_last)

    x, w = made(shape), made(weights)
    settings = (stride, padding, dilation, False, (0, 0), groups)
    out = torch.ops.aten.convolution(x, w, None, *settings)
    gradient = made(tuple(out.shape))

    def work() -> None:
        torch.ops.aten.convolution(x, w, None, *settings)
        if input_grad or weight_grad:
            wanted = [input_grad, weight_grad, False]
            torch.ops.aten.convolution_backward(gradient, x, w, None, *settings, wanted)

    return median_seconds(work, device)
