"""One run's configuration: composed from presets, a file and flags, in that order, then frozen."""

from collections.abc import Collection, Mapping
from numbers import Integral
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import yaml

from lord.config import Config, UserError, build, choose, chosen, expect, fields, parse_variant
from lord.config.types import Count, Natural, NonNegative
from lord.data import DataConfig, ImageData
from lord.methods import METHODS, MethodConfig, OptimizerConfig
from lord.networks import NetworkConfig
from lord.streams import PRESETS, Protocol, Stream, StreamConfig, make_stream

NEAREST = {"s-cifar100-10x10": "s-cifar100", "s-cifar100": "s-cifar10"}
"""By stream, the one whose published settings are taken where a method has none for it."""


class TrainingConfig(Config, frozen=True):
    """How long, and on what."""

    epochs: Count = 1
    """Passes over each task's images."""
    batch: Annotated[int, msgspec.Meta(ge=2)] = 32
    """Images of a step."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Arithmetic of forward and backward passes; bf16 by autocast."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: Annotated[int, msgspec.Meta(ge=0, le=1024)] = 0
    """CPU threads; 0 for as many as there are cores."""
    evaluate_every: Natural = 0
    """Steps between evaluations within a task, for the stability gap; 0 for none."""
    checkpoint_every: NonNegative = 60.0
    """Seconds between checkpoints; there is one at the end of each task besides."""


class RunConfig(Config, frozen=True):
    """Everything that decides a run's outcome."""

    method: str
    label: str
    """The method, and the settings that make it a variant, as they were given."""
    preset: str
    seed: int
    data: DataConfig
    stream: StreamConfig
    network: NetworkConfig
    optimizer: OptimizerConfig
    training: TrainingConfig
    settings: MethodConfig
    """The method's own configuration."""

    @property
    def protocol(self) -> Protocol:
        """Of the preset's stream."""
        return PRESETS[self.preset]


SECTIONS: dict[str, type[Config]] = {
    "data": DataConfig,
    "stream": StreamConfig,
    "network": NetworkConfig,
    "optimizer": OptimizerConfig,
    "training": TrainingConfig,
}
"""Parts of a run's configuration. Field names are unique over all of them and all methods', so
that a file and the command line can give them side by side."""
SHARED = frozenset(name for section in SECTIONS.values() for name in fields(section))
"""Settings of every run, whatever its method."""
FREE = ("threads", "checkpoint_every")
"""Settings that may differ where a finished run is kept: what is compared is not a matter of them.
Within a run the number of threads decides the last bits, and is kept."""


def known_settings() -> set[str]:
    """Every name that may be given."""
    own = {name for recipe in METHODS.values() for name in recipe.settings}
    return own | SHARED


def compose(
    method: str,
    given: Mapping[str, Any] | None = None,
    *,
    preset: str | None = None,
    seed: int = 0,
    beside: Collection[str] = (),
) -> RunConfig:
    """Fill in what is not given, check everything, and freeze it.

    Args:
        method: its name, or a variant of it: ``lord:rho=0.25:epochs=3``. Those settings come
            before all others.
        given: settings by name, as in a configuration file: of the run (``epochs``) and of the
            method (``rho``), or of one method only (``lord.rho``).
        preset: the stream; by default the digits without ``data``, else plain images.
        seed: of network, class order, batches, augmentation and every decision of the method.
        beside: other methods compared, whose own settings may be among those given.

    Raises:
        UserError: names the setting, what was given and what is allowed.
    """
    if isinstance(seed, bool) or not isinstance(seed, Integral) or not 0 <= seed < 2**31:
        raise UserError(f"seed: expected a whole number from 0 to {2**31 - 1}, got {seed!r}")
    seed = int(seed)  # numpy has a kind of its own
    expect("method", method, str, "its name")
    expect("given", given or {}, Mapping, "settings by name")
    for name in given or {}:
        expect("given", name, str, "settings by name")
    label, (method, own) = method, parse_variant(method)
    recipe = METHODS[choose("method", method, METHODS)]
    if clash := sorted(SHARED & set(recipe.settings)):
        raise UserError(f"plugin: {method}.Config has '{clash[0]}', which every run has: rename it")
    others = [parse_variant(other)[0] for other in beside]
    given = _for_method(dict(given or {}), method, others) | _for_method(own, method, ())
    if preset is None:
        preset = "digits" if given.get("data", "digits") == "digits" else "images"
    protocol = PRESETS[choose("preset", preset, PRESETS)]
    if "data" not in given and "data" not in protocol.settings:
        raise UserError(f"preset '{preset}' needs --data PATH: {protocol.about}")
    layers = [protocol.settings, recipe.preset, published(method, preset, given), given]
    merged = {name: value for layer in layers for name, value in layer.items()}
    if isinstance(merged.get("split"), str):
        merged["split"] = split_of(merged["split"])
    parts: dict[str, Any] = {
        part: build(section, chosen(section, merged)) for part, section in SECTIONS.items()
    }
    return RunConfig(
        method=method,
        label=label,
        preset=preset,
        seed=seed,
        settings=recipe.config(merged),
        **parts,
    )


def split_of(text: str) -> list[list[int]]:
    """Classes of each task, as typed: 0,1/2,3.

    Raises:
        UserError: if they are no numbers.
    """
    try:
        return [[int(label) for label in task.split(",")] for task in text.split("/")]
    except ValueError:
        raise UserError(f"split: expected class numbers such as 0,1/2,3, got '{text}'") from None


def stream_of(config: RunConfig, data: ImageData) -> Stream:
    """The stream a run learns.

    Raises:
        UserError: if it cannot be cut from these images, or they are not what the preset is for.
    """
    wanted, channels = config.protocol, data.shape[0]
    for what, has, needs in (
        ("channels", channels, len(wanted.mean) if wanted.mean else None),
        ("classes", len(data.classes), wanted.classes),
    ):
        if needs not in (None, has):
            raise UserError(
                f"preset '{config.preset}' is for images of {needs} {what}, "
                f"'{config.data.data}' has {has}; 'images' is for any"
            )
    stream = make_stream(data, config.stream, config.seed)
    if (last := config.stream.stop_after or 0) > len(stream.train):
        raise UserError(f"stop_after: the stream has {len(stream.train)} tasks, got {last}")
    return stream


def published(method: str, preset: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """A method's published settings for a stream, at the published buffer size nearest ours.

    Where none were published for the stream, those for the one nearest to it.
    """
    streams, stream = METHODS[method].published, preset
    while stream not in streams and stream in NEAREST:
        stream = NEAREST[stream]
    if not (rows := streams.get(stream, {})):
        return {}
    try:
        size = int(given.get("buffer", PRESETS[preset].settings.get("buffer", 0)))
    except (TypeError, ValueError, OverflowError):
        size = 0  # refused later, by name
    return rows[min(rows, key=lambda row: abs(row - size))]


def flat(config: RunConfig) -> dict[str, Any]:
    """The whole configuration by setting names: what ``compose`` takes, and config.yaml holds."""
    values: dict[str, Any] = {
        "method": config.label,
        "preset": config.preset,
        "seed": config.seed,
    }
    for part in (*SECTIONS, "settings"):
        values |= msgspec.to_builtins(getattr(config, part))
    return values


def folder_name(config: RunConfig) -> str:
    label = config.label.replace(":", ",").replace("/", "_")
    return f"{label}-seed{config.seed}"


def difference(
    before: Mapping[str, Any],
    now: Mapping[str, Any],
    folder: Path,
    free: Collection[str] = FREE,
) -> None:
    """Nothing, if a run in ``folder`` had the same configuration as the one to go on with.

    Args:
        free: what may differ.

    Raises:
        UserError: names the first setting that differs.
    """
    for name in sorted(before.keys() | now.keys()):
        if name in free or before.get(name) == now.get(name):
            continue
        # What has been in a file differs in form, such as a tuple: that is no difference.
        old, new = (yaml.safe_load(yaml.safe_dump(each.get(name))) for each in (before, now))
        if old != new:
            raise UserError(
                f"'{folder}' was run with {name} = {before.get(name)}, now {now.get(name)}: "
                "give another --out, or --overwrite"
            )


class _Once(yaml.SafeLoader):
    """Refuses a setting that is given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [str(name.value).replace("-", "_") for name, _ in node.value]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"{name} is given twice")
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict[str, Any]:
    """A configuration file: setting names and values.

    Raises:
        UserError: if it is missing or not a mapping.
    """
    try:
        read = yaml.load(path.read_text(), Loader=_Once)
    except OSError as error:
        raise UserError(f"cannot read the configuration '{path}': {error.strerror}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        said = " ".join(str(error).split())
        raise UserError(f"the configuration '{path}' is not YAML: {said}") from None
    if not isinstance(read, dict):
        raise UserError(f"the configuration '{path}' must be lines of 'setting: value'")
    return {str(name).replace("-", "_"): value for name, value in read.items()}


def _for_method(given: dict[str, Any], method: str, beside: Collection[str]) -> dict[str, Any]:
    """Settings that concern ``method``; the rest must concern one of those beside it."""
    known, values = known_settings(), {}
    # What is said of one method comes before what is said of all, in whatever order.
    for name, value in sorted(given.items(), key=lambda item: "." in item[0]):
        owner, _, setting = name.rpartition(".")
        if owner:
            choose("method", owner, METHODS)
        choose("setting", setting, sorted(known))
        who = [owner] if owner else [method, *beside]
        if setting not in SHARED and not any(setting in METHODS[m].settings for m in who):
            names, known_to = " and ".join(dict.fromkeys(who)), METHODS[who[0]].settings
            verb = "has" if len(set(who)) == 1 else "have"
            has = f"{who[0]} has: {', '.join(known_to)}"
            raise UserError(f"{names} {verb} no setting '{setting}'; {has}")
        if owner in ("", method):
            values[setting] = value
    return values
