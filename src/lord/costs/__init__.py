"""What training costs: FLOPs, seconds, bytes. Measured from outside; no method mentions them."""

from lord.costs.bytes import peak_bytes, saved_bytes, tensor_bytes
from lord.costs.ceiling import bare_seconds, matmul_ceiling, median_seconds, wait
from lord.costs.flops import FlopCount, uncounted
from lord.costs.meter import Meter
from lord.costs.split import Split, convolution_calls

__all__ = [
    "FlopCount",
    "Meter",
    "Split",
    "bare_seconds",
    "convolution_calls",
    "matmul_ceiling",
    "median_seconds",
    "peak_bytes",
    "saved_bytes",
    "tensor_bytes",
    "uncounted",
    "wait",
]
