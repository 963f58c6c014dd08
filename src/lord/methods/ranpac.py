"""RanPAC's head: ridge regression over random projections (McDonnell et al. 2023)."""

import torch
from torch import Tensor, nn

from lord.config.types import Count
from lord.methods.closed_form import ClosedForm, ClosedFormConfig
from lord.methods.sums import Sums


class RanPACConfig(ClosedFormConfig, frozen=True):
    """Settings of RanPAC."""

    projection: Count = 2000
    """Number of random projections. The paper uses 10,000. Memory grows with its square."""


class RanPAC(ClosedForm[RanPACConfig]):
    """Predict by ridge regression over rectified random projections of the features.

    The ridge is chosen on images kept, with a head that has not learned them. Departures: the paper
    chooses it on a share of each task, and uses 10,000 projections. First-session adaptation of the
    backbone is left out.

    >>> import lord
    >>> record = lord.run(lord.compose("ranpac", {"subset": 0.1, "projection": 64}))
    >>> len(record.matrices.class_il)
    5
    """

    name = "ranpac"
    CANDIDATES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)

    def layers(self, head: nn.Module) -> nn.Module:
        assert isinstance(head, nn.Linear)
        wide = nn.Linear(head.in_features, self.config.projection, bias=False)
        noise = torch.randn(wide.weight.shape, generator=self.generator)
        wide.weight = nn.Parameter(noise / head.in_features**0.5)
        return nn.Sequential(wide, nn.ReLU(), nn.Linear(self.config.projection, head.out_features))

    def fit(self, sums: Sums, candidate: float) -> tuple[Tensor, Tensor]:
        gram = sums.scatter.clone()
        gram.diagonal().add_(candidate * float(gram.trace()) / len(gram) + 1e-30)
        weight = torch.cholesky_solve(sums.totals.T, torch.linalg.cholesky(gram)).T
        return weight, weight.new_zeros(len(weight))
