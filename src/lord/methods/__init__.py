"""The methods, one file each, and what they share."""

from lord.methods.extend import take_over
from lord.methods.method import (
    Batch,
    BufferConfig,
    Method,
    MethodConfig,
    Rehearsal,
    Scalars,
    Setting,
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
    "Setting",
    "moved",
    "recomputed_statistics",
    "register",
    "take_over",
    "take_step",
]
