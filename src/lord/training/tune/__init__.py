"""Settings searched for by their accuracy, with the same effort for each method."""

from lord.training.tune.plan import On, Plan, make_plan
from lord.training.tune.search import tune
from lord.training.tune.space import Dimension, parse_space
from lord.training.tune.table import Found, Tuning, write_tuning

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
