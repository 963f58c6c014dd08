"""The methods, one file each, and what they share."""

from lord.methods.extend import take_over
from lord.methods.method import (
    Batch,
    BufferConfig,
    Context,
    Method,
    MethodConfig,
    Rehearsal,
    Scalars,
    moved,
    take_step,
)
from lord.methods.optim import Descent, OptimizerConfig
from lord.methods.registry import METHODS, OUR_METHODS, register
from lord.methods.statistics import recomputed_statistics

__all__ = [
    "METHODS",
    "OUR_METHODS",
    "Batch",
    "BufferConfig",
    "Descent",
    "Method",
    "MethodConfig",
    "OptimizerConfig",
    "Rehearsal",
    "Scalars",
    "Context",
    "moved",
    "recomputed_statistics",
    "register",
    "take_over",
    "take_step",
]
