"""The cost of training: FLOPs, seconds and bytes, measured from outside the methods."""

from lord.costs.bytes import peak_bytes, saved_bytes, tensor_bytes
from lord.costs.flops import FlopCount, uncounted
from lord.costs.meter import Meter

__all__ = ["FlopCount", "Meter", "peak_bytes", "saved_bytes", "tensor_bytes", "uncounted"]
