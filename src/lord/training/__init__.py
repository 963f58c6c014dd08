"""One run: from its configuration to its results."""

from lord.config import read_yaml
from lord.training.config import RunConfig, compose, flat, folder_name
from lord.training.run import run
from lord.training.sections import TrainingConfig
from lord.training.setup import make_method

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
