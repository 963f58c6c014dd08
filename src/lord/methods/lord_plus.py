"""LoRD made cheaper: the same three redundancies, each departure a setting."""

from typing import Any

from lord.config.rules import Count, NonNegative
from lord.methods.lord import LoRD
from lord.streams import PRESETS

OPTIMIZER: dict[str, Any] = {
    "optimizer": "muon",
    "lr": 0.05,
    "momentum": 0.6,
    "weight_decay": 0.01,
    "schedule": "triangle",
}


class LoRDPlus(LoRD):
    """LoRD with orthogonalised momentum, logit adjustment, one draw and gentle growth.

    Departures from LoRD, each switched back by the setting named: the optimizer (``optimizer``
    sgd, ``momentum``, ``schedule``, ``weight_decay``), logit-adjusted cross-entropies (``tau`` 0),
    both rehearsal terms on one draw (``draws`` 2), function-preserving growth (``preserve``).
    """

    name = "lord+"
    PRESETS = {stream: {0: OPTIMIZER} for stream in PRESETS}

    class Config(LoRD.Config, frozen=True):
        beta: NonNegative = 1.0
        draws: Count = 1
        tau: NonNegative = 1.0
        preserve: bool = True
