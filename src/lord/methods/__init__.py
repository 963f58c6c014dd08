"""The methods, one file each, and the interface that they implement."""

from lord.methods.build import build_method
from lord.methods.context import Batch, Context
from lord.methods.deploy import Kind, Pipeline, deployable, trained_part
from lord.methods.edit import forget_images, is_exact, merge_outputs, remove_output
from lord.methods.extend import take_over
from lord.methods.inputs import Inputs, above_cut, first_student, make_inputs
from lord.methods.method import (
    AnyMethod,
    BufferConfig,
    Method,
    MethodConfig,
    Rehearsal,
    Scalars,
    Traits,
    moved,
    take_step,
)
from lord.methods.optim import OptimizerConfig, Progress, ScheduledOptimizer
from lord.methods.outputs import Replaced, kept_outputs
from lord.methods.registry import BUILT_IN, METHODS, RETIRED, Recipe, register
from lord.methods.statistics import recomputed_statistics
from lord.methods.unknown import calibrated

__all__ = [
    "BUILT_IN",
    "METHODS",
    "RETIRED",
    "AnyMethod",
    "Batch",
    "BufferConfig",
    "Context",
    "Inputs",
    "Kind",
    "Method",
    "MethodConfig",
    "OptimizerConfig",
    "Pipeline",
    "Progress",
    "Recipe",
    "Rehearsal",
    "Replaced",
    "Scalars",
    "ScheduledOptimizer",
    "Traits",
    "above_cut",
    "build_method",
    "calibrated",
    "deployable",
    "first_student",
    "forget_images",
    "is_exact",
    "kept_outputs",
    "make_inputs",
    "merge_outputs",
    "moved",
    "recomputed_statistics",
    "register",
    "remove_output",
    "take_over",
    "take_step",
    "trained_part",
]
