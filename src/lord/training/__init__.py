"""One run: from its configuration to its results."""

from lord.training.config import RunConfig, TrainingConfig, compose, flat, folder_name, read_yaml
from lord.training.run import make_method, run

__all__ = [
    "RunConfig",
    "TrainingConfig",
    "compose",
    "flat",
    "folder_name",
    "make_method",
    "read_yaml",
    "run",
]
