"""Where runs are run: as processes on this machine, or as tasks of a Ray cluster."""

from lord.training.engines.job import STOPPED, Engine, Job
from lord.training.engines.local import local
from lord.training.engines.ray import ray

ENGINES: dict[str, Engine] = {"local": local, "ray": ray}
"""By the names of the command line."""

__all__ = ["ENGINES", "STOPPED", "Engine", "Job", "local", "ray"]
