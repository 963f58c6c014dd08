"""Measure how fast a training step is, where its time goes, and the limit of the hardware."""

from lord.bench.ceiling import Convolution, bare_seconds, matmul_ceiling, median_seconds, wait
from lord.bench.check import CheckReport, Finding, check
from lord.bench.split import StepProfile, convolution_calls
from lord.bench.steps import Bench, StepCost, bench

__all__ = [
    "Bench",
    "CheckReport",
    "Convolution",
    "Finding",
    "StepCost",
    "StepProfile",
    "bare_seconds",
    "bench",
    "check",
    "convolution_calls",
    "matmul_ceiling",
    "median_seconds",
    "wait",
]
