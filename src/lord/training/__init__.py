"""The loop over tasks and steps; runs and comparisons."""

from lord.training.ablation import ABLATIONS, variants
from lord.training.bench import Bench, StepCost, bench
from lord.training.compare import compare, describe
from lord.training.config import RunConfig, TrainingConfig, compose, flat, folder_name, read_yaml
from lord.training.run import make_method, run

__all__ = [
    "ABLATIONS",
    "Bench",
    "RunConfig",
    "StepCost",
    "TrainingConfig",
    "bench",
    "compare",
    "compose",
    "describe",
    "flat",
    "folder_name",
    "make_method",
    "read_yaml",
    "run",
    "variants",
]
