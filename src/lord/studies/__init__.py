"""Studies, which consist of many runs: comparisons, ablations and hyperparameter searches."""

from lord.studies.ablation import ABLATIONS, named_variants, variants
from lord.studies.compare import compare, run_all, write_study

__all__ = ["ABLATIONS", "compare", "named_variants", "run_all", "variants", "write_study"]
