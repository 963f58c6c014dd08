"""Engines, which run the jobs of a study: as local processes, or as tasks of a Ray cluster."""

from lord.studies.engines.job import STOPPED, Engine, Job
from lord.studies.engines.local import run_here
from lord.studies.engines.ray import run_on_ray

ENGINES: dict[str, Engine] = {"local": run_here, "ray": run_on_ray}
"""The engines by name."""

__all__ = ["ENGINES", "STOPPED", "Engine", "Job"]
