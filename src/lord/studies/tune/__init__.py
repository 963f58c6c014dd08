"""The search for the most accurate settings, with the same budget for each method."""

from lord.studies.tune.plan import On, Plan, make_plan
from lord.studies.tune.search import tune
from lord.studies.tune.space import Dimension, parse_space
from lord.studies.tune.table import MethodTuning, Tuning, write_tuning

__all__ = [
    "Dimension",
    "MethodTuning",
    "On",
    "Plan",
    "Tuning",
    "make_plan",
    "parse_space",
    "tune",
    "write_tuning",
]
