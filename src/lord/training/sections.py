"""The settings of a run by section, and those that earlier versions had."""

from collections.abc import Collection, Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from lord.backbone import BackboneConfig
from lord.config import Config, UserError, Value, fields
from lord.config.types import AtLeastTwo, Count, Natural, NonNegative, Positive
from lord.data import DataConfig
from lord.methods import METHODS, OptimizerConfig
from lord.methods.registry import RETIRED
from lord.networks import NetworkConfig
from lord.streams import StreamConfig


class TrainingConfig(Config, frozen=True):
    """How long to train, and on which device."""

    epochs: Count = 1
    """Passes over each task's images."""
    flops_per_task: Positive | None = None
    """Training FLOPs to spend on each task, instead of a number of epochs. Search and recomputed
    statistics count. With 'joint', its only task has the FLOPs of all tasks."""
    realtime: bool = False
    """The stream does not wait: a method that costs twice as much as plain SGD learns half of the
    batches."""
    bytes: Positive | None = None
    """Most bytes to keep between steps: models, averages, optimizer, images and stored logits. The
    buffer gets what is left, and `buffer` is ignored."""
    batch: AtLeastTwo = 32
    """Number of images in a step."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Arithmetic of forward and backward passes. bf16 uses autocast."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Device to train on. auto: a GPU if there is one."""
    threads: Annotated[int, Meta(ge=0, le=1024)] = 0
    """Number of CPU threads; 0 for one per core."""
    evaluate_every: Natural = 0
    """Steps between evaluations within a task, which measure the stability gap; 0 for none."""
    prequential: bool = False
    """Predict each batch of the first epoch before it is learned. It counts as evaluation."""
    checkpoint_every: NonNegative = 60.0
    """Seconds between checkpoints. The end of a task always writes one."""

    def __post_init__(self) -> None:
        if self.realtime and self.flops_per_task is not None:
            raise UserError(
                "cannot be combined with `flops_per_task`", field="realtime", hint="set one of them"
            )


SECTIONS: dict[str, type[Config]] = {
    "data": DataConfig,
    "stream": StreamConfig,
    "network": NetworkConfig,
    "backbone": BackboneConfig,
    "optimizer": OptimizerConfig,
    "training": TrainingConfig,
}
"""Parts of a run's configuration. A setting's name is unique over these parts and all methods, so a
file and the command line can list settings without their part."""
SHARED = frozenset(name for section in SECTIONS.values() for name in fields(section))
"""Settings that runs of all methods have."""


def registrable(parts: Mapping[str, Config]) -> list[str]:
    """Return the names of the network, the data and the backbone. Plug-ins may register them."""
    return [getattr(parts[name], name) or "" for name in ("network", "data", "backbone")]


def known_settings() -> frozenset[str]:
    """Return the names of the settings of all runs and all methods."""
    return SHARED.union(*(recipe.settings for recipe in METHODS.values()))


def current(values: Mapping[str, Value], methods: Collection[str]) -> dict[str, Value]:
    """Convert settings that an earlier version wrote to those of this version.

    Removed settings are left out if they have their default, because they have no effect then.

    >>> current({"rho": 0.5, "every": 1}, ["lord"]), current({"pruned": False}, ["lord"])
    ({'rho': 0.5}, {'candidates': 0})

    Args:
        values: settings by name.
        methods: methods that the settings are for.
    """
    kept: dict[str, Value] = {}
    for name, value in values.items():
        owner, dot, setting = name.rpartition(".")
        names = [owner] if owner else methods
        if setting not in RETIRED or any(setting in settings_of(each) for each in names):
            kept.setdefault(name, value)
        elif not _equal(value, RETIRED[setting]):
            renamed = {"pruned": (f"{owner}{dot}candidates", 0)}
            now, value = renamed.get(setting, (name, value))
            kept[now] = value
    return kept


def settings_of(method: str) -> tuple[str, ...]:
    """Return the names of a method's settings; none for an unknown method."""
    return METHODS[method].settings if method in METHODS else ()


def _equal(value: Value, default: Value) -> bool:
    """Return whether a value, which may be text, equals a default."""
    try:
        return bool(msgspec.convert(value, type(default), strict=False) == default)
    except msgspec.ValidationError:
        return False


def removed(setting: str, value: Value) -> UserError:
    """Return the error for a removed setting with a value that would have an effect."""
    return UserError(
        "cannot be used: this setting was removed after version 0.1",
        field=setting,
        given=value,
        hint="leave it out",
    )
