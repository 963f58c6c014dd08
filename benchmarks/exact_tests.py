"""Exact permutation tests of paired differences, corrected for their number by Holm's method."""

from collections.abc import Sequence

from lord.reporting.statistics import permutation_p

FEWEST = 6
"""Fewest pairs that are tested: with five, p cannot be below .05."""


def p_values(differences: Sequence[Sequence[float]]) -> list[str]:
    """Return p values before and after correction as printed, for differences that are tested."""
    tested = [permutation_p(gaps) for gaps in differences if len(gaps) >= FEWEST]
    found = [
        f"{p:.2g} | {corrected:.2g}" for p, corrected in zip(tested, holm(tested), strict=True)
    ]
    return [found.pop(0) if len(gaps) >= FEWEST else " | " for gaps in differences]


def holm(values: Sequence[float]) -> list[float]:
    """Return p values after Holm's correction for their number.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    found, least = [0.0] * len(values), 0.0
    for place, index in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        least = max(least, min(1.0, (len(values) - place) * values[index]))
        found[index] = least
    return found
