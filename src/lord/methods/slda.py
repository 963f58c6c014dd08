"""SLDA: streaming linear discriminant analysis (Hayes & Kanan 2020)."""

import torch
from torch import Tensor

from lord.methods.closed_form import ClosedForm, ClosedFormConfig, oas_shrinkage
from lord.methods.sums import Sums

ROUNDING = 1e-12
"""Variance within classes, as a share of their squared means, that can be rounding."""


class SLDAConfig(ClosedFormConfig, frozen=True):
    """Settings of SLDA."""


class SLDA(ClosedForm[SLDAConfig]):
    """Predict the class whose Gaussian is most likely. All classes share one covariance.

    The covariance is shrunk towards a multiple of the identity by Oracle Approximating Shrinkage.
    That estimates the covariance best, but prediction is often better with more shrinkage. So more
    is tried on the images kept, with a head that has not learned them. Classes have equal priors.
    Departure: Hayes & Kanan shrink by a fixed 1e-4, and update the covariance with the mean at that
    time. Here it is the covariance around the final means.

    >>> import lord
    >>> record = lord.run(lord.compose("slda", {"subset": 0.1}))
    >>> len(record.matrices.class_il)
    5
    """

    name = "slda"
    CANDIDATES = (0.0, 0.2, 0.4, 0.6)  # shares by which the covariance is shrunk further

    def fit(self, sums: Sums, candidate: float) -> tuple[Tensor, Tensor]:
        means, rows = sums.means(), float(sums.counts.sum() + sums.spread)
        covariance = sums.within()
        if float(covariance.trace()) > ROUNDING * float(means.square().sum()):
            covariance = shrunk(covariance, rows, candidate)
        else:  # one image per class: the nearest mean decides
            covariance = torch.eye(len(covariance), dtype=covariance.dtype)
        weight = torch.cholesky_solve(means.T, torch.linalg.cholesky(covariance)).T
        return weight, -(weight * means).sum(1) / 2


def shrunk(covariance: Tensor, rows: float, further: float = 0.0) -> Tensor:
    """Return a covariance shrunk by ``oas_shrinkage`` and then further. It is positive definite."""
    share = oas_shrinkage(covariance, rows)
    share += (1 - share) * further
    level = float(covariance.trace()) / len(covariance)
    identity = torch.eye(len(covariance), dtype=covariance.dtype)
    return (1 - share) * covariance + (share * level + 1e-9 * level + 1e-30) * identity
