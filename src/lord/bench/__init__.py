"""How fast a training step is, where its time goes, and how far that is from the hardware limit."""

from lord.bench.ceiling import bare_seconds, matmul_ceiling, median_seconds, wait
from lord.bench.split import StepProfile, convolution_calls
from lord.bench.steps import Bench, StepCost, bench

__all__ = [
    "Bench",
    "StepProfile",
    "StepCost",
    "bare_seconds",
    "bench",
    "convolution_calls",
    "matmul_ceiling",
    "median_seconds",
    "wait",
]
