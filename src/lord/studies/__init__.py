"""Many runs: comparisons, ablations and the search for settings."""

from lord.studies.ablation import ABLATIONS, variants
from lord.studies.compare import compare, describe

__all__ = ["ABLATIONS", "compare", "describe", "variants"]
