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
EXACT, SAMPLES = 40, 65536
"""Seeds up to which all permutations count, and sampled permutations for more seeds."""


@dataclass(frozen=True)
class Difference:
    """A measure of one method minus that of another, over the seeds of both.

    Attributes:
        seeds: the number of common seeds.
        mean: the mean difference.
        low, high: the 95 % confidence interval of the mean (Student's t). None for one seed.
        p: the p value of the two-sided paired permutation test. It is exact for up to 40 seeds, and
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
    return Difference(len(gaps), mean, mean - reach, mean + reach, permutation_p(gaps))


def permutation_p(gaps: Sequence[float]) -> float:
    """Return the p value of the two-sided permutation test of paired differences.

    Sums that differ by rounding only are ties. Accuracies lie on a grid, so ties are common.

    >>> permutation_p([1.0, 2.0, 3.0]), permutation_p([0.1, 0.2, -0.3])
    (0.25, 1.0)
    """
    least = max(abs(sum(gaps)) - 1e-9 * sum(map(abs, gaps)), 0.0)
    if len(gaps) > EXACT:
        signs = np.random.default_rng(0).choice([-1.0, 1.0], (SAMPLES, len(gaps)))
        return float((np.abs(signs @ np.array(gaps)) >= least).sum() + 1) / (SAMPLES + 1)
    # All sums of both halves: the 2 ** 40 sums of 40 pairs would not fit into memory.
    halves = []
    for part in (gaps[::2], gaps[1::2]):
        sums = np.zeros(1)
        for gap in part:
            sums = np.concatenate([sums + gap, sums - gap])
        halves.append(np.sort(sums))
    first, second = halves
    above = len(second) - np.searchsorted(second, least - first, "left")
    below = np.searchsorted(second, -least - first, "right")
    return min(float((above + below).sum()) / (len(first) * len(second)), 1.0)


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
