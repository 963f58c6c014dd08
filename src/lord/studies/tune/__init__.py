"""Settings searched for by their accuracy, with the same effort for each method."""

from lord.studies.tune.plan import On, Plan, make_plan
from lord.studies.tune.search import tune
from lord.studies.tune.space import Dimension, parse_space
from lord.studies.tune.table import Found, Tuning, write_tuning

__all__ = [
    "Dimension",
    "Found",
    "On",
    "Plan",
    "Tuning",
    "make_plan",
    "parse_space",
    "tune",
    "write_tuning",
]
