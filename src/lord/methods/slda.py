"""SLDA: streaming linear discriminant analysis (Hayes & Kanan 2020)."""

import torch
from torch import Tensor

from lord.methods.closed_form import ClosedForm, ClosedFormConfig, oas_shrinkage
from lord.methods.sums import Sums


class SLDAConfig(ClosedFormConfig, frozen=True):
    """Settings of SLDA."""


class SLDA(ClosedForm[SLDAConfig]):
    """Predict the class whose Gaussian is most likely. All classes share one covariance.

    The covariance is shrunk towards a multiple of the identity by Oracle Approximating Shrinkage.
    Classes have equal priors. Departure: Hayes & Kanan shrink by a fixed 1e-4, and update the
    covariance with the mean at that time. Here it is the covariance around the final means.

    >>> import lord
    >>> record = lord.run(lord.compose("slda", {"subset": 0.1}))
    >>> len(record.matrices.class_il)
    5
    """

    name = "slda"

    def fit(self, sums: Sums, candidate: float) -> tuple[Tensor, Tensor]:
        means, covariance = sums.means(), shrunk(sums.within(), float(sums.counts.sum()))
        weight = torch.cholesky_solve(means.T, torch.linalg.cholesky(covariance)).T
        return weight, -(weight * means).sum(1) / 2


def shrunk(covariance: Tensor, rows: float) -> Tensor:
    """Return a covariance shrunk by ``oas_shrinkage``. It is positive definite."""
    share = oas_shrinkage(covariance, rows)
    level = float(covariance.trace()) / len(covariance)
    identity = torch.eye(len(covariance), dtype=covariance.dtype)
    return (1 - share) * covariance + (share * level + 1e-9 * level + 1e-30) * identity
