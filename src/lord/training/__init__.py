"""The loop over tasks and steps; runs and comparisons."""

from lord.training.compare import compare
from lord.training.config import RunConfig, TrainingConfig, compose, flat, read_yaml
from lord.training.run import run

__all__ = [
    "RunConfig",
    "TrainingConfig",
    "compare",
    "compose",
    "flat",
    "read_yaml",
    "run",
]
