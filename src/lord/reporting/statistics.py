"""Differences between methods over common seeds."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from lord.reporting.tables import Pick, Row

LEVEL = 0.05


@dataclass(frozen=True)
class Difference:
    """One method minus another, over the seeds both were run with.

    Attributes:
        seeds: their number.
        mean: of the differences.
        low, high: 95 % confidence interval of the mean (Student's t); None for one seed.
        p: of the paired permutation test, two-sided; exact up to 16 seeds, of 65,536 sampled
            permutations beyond; None for one seed.
    """

    seeds: int
    mean: float
    low: float | None
    high: float | None
    p: float | None


def paired(one: Row, other: Row, pick: Pick) -> Difference | None:
    """``one`` minus ``other``; None where they share no seed, or a value is missing."""
    mine, theirs = ({r.seed: pick(r) for r in row.records} for row in (one, other))
    both = [(mine[seed], theirs[seed]) for seed in mine.keys() & theirs.keys()]
    values = [(a, b) for a, b in both if a is not None and b is not None]
    if not values or len(values) < len(both):
        return None
    gaps = [a - b for a, b in values]
    mean = statistics.fmean(gaps)
    if len(gaps) < 2:
        return Difference(1, mean, None, None, None)
    reach = stats.t.ppf(0.975, len(gaps) - 1) * statistics.stdev(gaps) / math.sqrt(len(gaps))
    test = stats.permutation_test(
        (np.array(gaps),),
        np.mean,
        permutation_type="samples",
        n_resamples=2 ** len(gaps) if len(gaps) <= 16 else 65536,
        rng=np.random.default_rng(0),
    )
    return Difference(len(gaps), mean, mean - reach, mean + reach, float(test.pvalue))


def least_p(seeds: int) -> float:
    """The least p that a paired permutation test of so many seeds can give.

    >>> least_p(3), least_p(6)
    (0.25, 0.03125)
    """
    return min(2 / 2**seeds, 1.0)


def caution(seeds: Sequence[int]) -> str | None:
    """What to say where there are too few seeds to tell methods apart."""
    fewest = min(seeds, default=1)
    if least_p(fewest) < LEVEL:
        return None
    return (
        f"With {fewest} seed{'s' * (fewest != 1)} no difference can reach p < {LEVEL} in a paired "
        f"permutation test: p is {least_p(fewest):.3g} at least. Six seeds or more can."
    )
