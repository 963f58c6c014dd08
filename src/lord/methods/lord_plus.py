"""LoRD made cheaper: the same three redundancies, each departure a setting."""

from typing import Annotated, Any, Literal

from msgspec import Meta

from lord.config.types import NonNegative
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
    """LoRD with orthogonalised momentum, logit adjustment, one merged draw and a slow, gentle
    growth.

    Departures from LoRD, each switched back by the setting named: the optimizer (``optimizer``
    sgd, ``lr``, ``momentum``, ``schedule``, ``weight_decay``); logit-adjusted cross-entropies
    (``tau`` 0); both rehearsal terms on one draw (``draws`` 2) that passes the student with the
    stream (``merged`` false); the same ``alpha`` for every stream and buffer size, and no ``beta``
    where passes are merged; function-preserving growth (``growth`` plain), two levels before the
    first task however many follow (``pace`` 4 for five tasks, 3.5 for ten, 1 for twenty); no
    distillation (``distill`` 0.05).
    """

    name = "lord+"
    PRESETS = {stream: {0: OPTIMIZER} for stream in PRESETS}

    class Config(LoRD.Config, frozen=True):
        growth: Literal["plain", "preserving", "none"] = "preserving"
        pace: NonNegative | None = 2.0
        distill: NonNegative = 0.0
        draws: Annotated[int, Meta(ge=1, le=2)] = 1
        merged: bool = True
        tau: NonNegative = 1.0
