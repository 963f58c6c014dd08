"""Test differences between methods over common seeds."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lord.reporting.rows import Pick, Row

LEVEL = 0.05
ENOUGH = 6
"""Seeds with which the test can reach a p value below ``LEVEL``."""


@dataclass(frozen=True)
class Difference:
    """A measure of one method minus that of another, over the seeds of both.

    Attributes:
        seeds: the number of common seeds.
        mean: the mean difference.
        low, high: the 95 % confidence interval of the mean (Student's t). None for one seed.
        p: the p value of the two-sided paired permutation test. It is exact for up to 16 seeds, and
            from 65,536 sampled permutations for more. None for one seed.
    """

    seeds: int
    mean: float
    low: float | None
    high: float | None
    p: float | None


def paired(one: Row, other: Row, pick: Pick) -> Difference | None:
    """Return ``one`` minus ``other``; None if they share no seed or a value is missing.

    Args:
        one, other: the rows to compare.
        pick: returns the value of a record.
    """
    mine, theirs = ({r.seed: pick(r) for r in row.records} for row in (one, other))
    both = [(mine[seed], theirs[seed]) for seed in mine.keys() & theirs.keys()]
    values = [(a, b) for a, b in both if a is not None and b is not None]
    if not values or len(values) < len(both):
        return None
    gaps = [a - b for a, b in values]
    mean = statistics.fmean(gaps)
    if len(gaps) < 2:
        return Difference(1, mean, None, None, None)
    from scipy import stats  # noqa: PLC0415 (its import takes over a second)

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
    """Return the smallest p value that a paired permutation test over the seeds can reach.

    >>> least_p(3), least_p(6)
    (0.25, 0.03125)
    """
    return min(2 / 2**seeds, 1.0)


def caution(seeds: Sequence[int]) -> str | None:
    """Return a warning if the seeds are too few to tell methods apart, else None."""
    few = sorted({count for count in seeds if count < ENOUGH})
    if not few:
        return None
    parts = ["A row of one seed has no p value."] if few[0] == 1 else []
    if several := [count for count in few if count > 1]:
        parts.append(
            f"With {several[0]} seeds, the p value of a paired permutation test is at least "
            f"{least_p(several[0]):.3g}."
        )
    return " ".join([*parts, f"It takes six seeds to reach p < {LEVEL}."])
