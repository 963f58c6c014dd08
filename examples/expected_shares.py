"""LoRD whose logit adjustment goes by the shares of the last fifty steps or so, not of one step.

    lord compare --plugin examples/expected_shares.py \\
        --methods lord:tau=1:rho=0.25,lord-expected:tau=1:rho=0.25

Where a coin decides whether a step rehearses, a step without has no old class at all, and its loss
leaves them out. Here they stay in it, at the share they have over the schedule as a whole.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from lord.methods import Setting, register
from lord.methods.lord import LoRD
from lord.methods.terms import adjusted_cross_entropy, class_shares


@register
class Expected(LoRD):
    """LoRD with expected class shares."""

    name = "lord-expected"
    KEPT = (*LoRD.KEPT, "shares")

    def __init__(self, config: Any, setting: Setting) -> None:
        super().__init__(config, setting)
        self.shares = torch.zeros(setting.classes, device=self.device)

    def _cross_entropy(self, labels: list[Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
        every = torch.cat(labels)  # a step that rehearses counts the more, as its loss does
        counts = class_shares(every, len(self.shares)) * len(every)
        self.shares = 0.98 * self.shares + 0.02 * counts  # only their proportions matter
        return partial(adjusted_cross_entropy, shares=self.shares, tau=self.config.tau)
