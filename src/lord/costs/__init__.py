"""The cost of training: FLOPs, seconds and bytes, measured from outside the methods."""

from lord.costs.bytes import peak_bytes, saved_bytes, tensor_bytes
from lord.costs.flops import FlopCount
from lord.costs.layers import LayerCount
from lord.costs.meter import Meter
from lord.costs.stated import stated

__all__ = [
    "FlopCount",
    "LayerCount",
    "Meter",
    "peak_bytes",
    "saved_bytes",
    "stated",
    "tensor_bytes",
]
