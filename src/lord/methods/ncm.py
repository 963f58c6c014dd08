"""NCM: the class with the nearest mean."""

from torch import Tensor

from lord.methods.closed_form import ClosedForm, ClosedFormConfig
from lord.methods.sums import Sums


class NCMConfig(ClosedFormConfig, frozen=True):
    """Settings of NCM."""


class NCM(ClosedForm[NCMConfig]):
    """Predict the class whose mean feature is nearest.

    All classes have the same variance in every direction, so that logits are log-likelihoods. A
    temperature, chosen on images kept, makes probabilities calibrated.

    >>> import lord
    >>> record = lord.run(lord.compose("ncm", {"subset": 0.1}))
    >>> len(record.matrices.class_il)
    5
    """

    name = "ncm"
    FULL = False

    def fit(self, sums: Sums, candidate: float) -> tuple[Tensor, Tensor]:
        means, variance = sums.means(), sums.within().mean().clamp(min=1e-12)
        return means / variance, -(means**2).sum(1) / (2 * variance)
