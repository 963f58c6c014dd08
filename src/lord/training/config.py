"""One run's configuration: composed of presets and given settings, then frozen."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

from lord.backbone import BackboneConfig
from lord.config import (
    Config,
    UserError,
    Value,
    Variant,
    as_variant,
    build,
    check_unchanged,
    choose,
    chosen,
    convert,
    expect,
    run_folder,
    sources_of,
    unknown_setting,
)
from lord.config.types import Natural
from lord.data import DataConfig
from lord.methods import METHODS, MethodConfig, OptimizerConfig
from lord.methods.optim import check_options
from lord.methods.registry import RETIRED
from lord.networks import NetworkConfig
from lord.streams import PRESETS, Protocol, StreamConfig
from lord.training.sections import (
    SECTIONS,
    SHARED,
    TrainingConfig,
    current,
    known_settings,
    registrable,
    removed,
)

NEAREST = {"s-cifar100-10x10": "s-cifar100", "s-cifar100": "s-cifar10"}
"""Stream without published settings -> stream to take them from."""

FREE = ("threads", "checkpoint_every")
"""Settings that may differ from those of a finished run that is not repeated. They do not affect
results, except that the number of threads affects the last bits."""


class RunConfig(Config, frozen=True):
    """All settings of a run. ``compose`` makes it."""

    variant: Variant
    """The method, and the settings that were given for it."""
    preset: str
    """Name of the stream."""
    seed: Natural
    """Seed of network, class order, batches, augmentation and the method's decisions."""
    data: DataConfig
    stream: StreamConfig
    network: NetworkConfig
    backbone: BackboneConfig
    optimizer: OptimizerConfig
    training: TrainingConfig
    settings: MethodConfig
    """All settings of the method."""
    plugin: dict[str, str] = {}
    """SHA-256 of each source file of the plug-ins that registered method, network or stream."""

    @property
    def method(self) -> str:
        """Name of the method."""
        return self.variant.method

    @property
    def label(self) -> str:
        """The variant's name in tables and folders."""
        return self.variant.label

    @property
    def protocol(self) -> Protocol:
        """The stream of the preset."""
        return PRESETS[self.preset]


def compose(
    method: str | Variant,
    given: Mapping[str, Value] | None = None,
    *,
    preset: str | None = None,
    seed: int = 0,
    beside: Collection[str | Variant] = (),
) -> RunConfig:
    """Fill in settings that are not given, check all of them, and freeze them.

    >>> compose("lord:rho=0.25", {"epochs": 3}).settings.rho
    0.25

    Args:
        method: name of a method, or a variant of it: ``lord:rho=0.25``. The variant's settings
            replace those of ``given``.
        given: settings by name, as in a configuration file: of the run (``epochs``) and of the
            method (``rho``), or of one method only (``lord.rho``).
        preset: name of the stream. The default is "digits", or "images" if ``data`` is given.
        seed: seed of network, class order, batches, augmentation and the method's decisions.
        beside: other methods of the comparison, which ``given`` may have settings for.

    Raises:
        UserError: if a setting is unknown or not allowed.
    """
    variant = as_variant("method", method)
    recipe = METHODS[choose("method", variant.method, METHODS)]
    _check_names(variant, given)
    others = [as_variant("beside", other).method for other in beside]
    values = _concerning(variant.method, given or {}, others)
    values |= _concerning(variant.method, variant.settings)
    if preset is None:
        preset = "digits" if values.get("data", "digits") == "digits" else "images"
    protocol = PRESETS[choose("preset", preset, PRESETS)]
    if "data" not in values and "data" not in protocol.settings:
        raise UserError(
            f"the preset '{preset}' needs the path of its images",
            field="data",
            allowed="a path, or memory for images that a program gives",
        )
    backbone = build(BackboneConfig, chosen(BackboneConfig, values)).backbone
    presets = (protocol.settings, recipe.preset, recipe.above(backbone))
    layers = (*presets, published(variant.method, preset, values), values)
    merged = {name: value for layer in layers for name, value in layer.items()}
    parts: dict[str, Any] = {n: build(s, chosen(s, merged)) for n, s in SECTIONS.items()}
    check_options(parts["optimizer"], values)
    _check_limit(variant.method, parts["training"])
    return RunConfig(
        variant=variant,
        preset=preset,
        seed=convert("seed", seed, Natural),
        settings=recipe.config(merged),
        plugin=sources_of(variant.method, preset, *registrable(parts)),
        **parts,
    )


def _check_names(variant: Variant, given: object) -> None:
    """Check the names of settings and of the variant.

    Raises:
        UserError: if settings have no names, or the variant has the name of a method. Also if a
            setting of the method has the name of a setting of every run.
    """
    expect("given", given or {}, Mapping, "settings by name")
    for name in given if isinstance(given, Mapping) else ():
        expect("given", name, str, "settings by name")
    if variant.name in METHODS:
        raise UserError(
            "is the name of a method", field="name", given=variant.name, hint="choose another"
        )
    if clash := sorted(SHARED & set(METHODS[variant.method].settings)):
        raise UserError(
            f"{variant.method}.Config has a field '{clash[0]}', and so has every run",
            field="plugin",
            hint="rename the field",
        )


def _check_limit(method: str, training: TrainingConfig) -> None:
    """Check that a method learns in its steps, as some settings need."""
    by_steps, ahead = METHODS[method].method.traits.by_steps, METHODS[method].method.traits.ahead
    why = "uses all images of a task before them" if ahead else "does not learn in them"
    refused = {"realtime": ahead or not by_steps, "flops_per_task": not by_steps}
    for field, cannot in (refused | {"prequential": ahead}).items():
        if cannot and getattr(training, field):
            problem = f"needs a method that learns in its steps; '{method}' {why}"
            raise UserError(problem, field=field, hint="leave out that method")


def _concerning(
    method: str, given: Mapping[str, Value], beside: Collection[str] = ()
) -> dict[str, Value]:
    """Return the settings for ``method``. All others must be for a method in ``beside``."""
    known, values = known_settings(), {}
    given = current(given, [method, *beside])
    # Settings of one method replace those of all methods, in any order, because they come last.
    for name, value in sorted(given.items(), key=lambda item: "." in item[0]):
        owner, dot, setting = name.rpartition(".")
        methods = [choose(name, owner, METHODS)] if dot else [method, *beside]
        if setting not in SHARED and not any(setting in METHODS[m].settings for m in methods):
            if setting in RETIRED and {"lord", "lord+"} & set(methods):
                raise removed(setting, value)
            if setting not in known:
                raise unknown_setting(setting, known)
            names = " or ".join(dict.fromkeys(methods))
            raise unknown_setting(setting, METHODS[methods[0]].settings, names)
        if owner in ("", method):
            values[setting] = value
        elif setting in METHODS[owner].settings:
            METHODS[owner].config({setting: value})  # it has no effect, but must be allowed
    return values


def published(method: str, preset: str, given: Mapping[str, Value]) -> dict[str, Value]:
    """Return a method's published settings for a stream, for the nearest published buffer size.

    A stream without published settings gets those of a similar stream. See ``NEAREST``.
    """
    streams, stream = METHODS[method].published, preset
    while stream not in streams and stream in NEAREST:
        stream = NEAREST[stream]
    if not (rows := streams.get(stream, {})):
        return {}
    try:
        size = convert(
            "buffer", given.get("buffer", PRESETS[preset].settings.get("buffer", 0)), float
        )
    except UserError:
        size = 0.0  # a later check refuses it
    return rows[min(rows, key=lambda row: abs(row - size))]


def flat(config: RunConfig) -> dict[str, Any]:
    """Return the whole configuration by setting names, as in ``config.yaml``."""
    values: dict[str, Any] = {
        "method": config.variant.text,
        "preset": config.preset,
        "seed": config.seed,
    }
    for part in (*SECTIONS, "settings"):
        values |= msgspec.to_builtins(getattr(config, part))
    return values | ({"plugin": dict(config.plugin)} if config.plugin else {})


def _defaults(method: str) -> dict[str, Any]:
    """Return the defaults of all settings of a run, without those of presets."""
    configs = [*SECTIONS.values()] + ([METHODS[method].method.Config] if method in METHODS else [])
    values: dict[str, Any] = {}
    for config in configs:
        values |= msgspec.to_builtins(config())
    return values


def folder_name(config: RunConfig) -> str:
    """Return the name of a run's folder among those of a comparison."""
    return run_folder(config.label, config.seed)


def difference(
    before: Mapping[str, Value],
    now: Mapping[str, Value],
    folder: Path,
    free: Collection[str] = FREE,
) -> None:
    """Check that a run in ``folder`` had the same configuration as the run to make now.

    Args:
        before: configuration of the run in ``folder``, by setting names.
        now: configuration of the run to make.
        folder: to name in the error.
        free: settings that may differ.

    Raises:
        UserError: if a setting differs, or the source of the plug-in. It names the first one.
    """
    method = as_variant("method", before["method"]).method
    before = _defaults(method) | current(before, [method])  # an older version had fewer settings
    check_unchanged(before.get("plugin"), now.get("plugin"), folder)
    names = sorted((before.keys() | now.keys()) - {"plugin", *free})
    for name in sorted(names, key="method".__ne__):  # another method has other settings, too
        # Values such as tuples have another form in a file. That does not count as a difference.
        old, new = (yaml.safe_load(yaml.safe_dump(each.get(name))) for each in (before, now))
        if old != new:
            raise UserError(
                f"differs from {before.get(name)!r}, with which the run in '{folder}' was made",
                field=name,
                given=now.get(name),
                hint="choose another `out`, or set `overwrite`",
            )
