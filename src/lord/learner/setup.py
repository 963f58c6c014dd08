"""The configuration of a learner, and the method built from it."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec
from msgspec.structs import asdict, replace
from torch import Generator, Tensor, nn

from lord.backbone import BackboneConfig, Scales
from lord.config import (
    Config,
    UserError,
    build,
    choose,
    chosen,
    expect,
    fields,
    seeded,
    unknown_setting,
)
from lord.config.types import AtLeastTwo, Count, Natural
from lord.data import Augment, measure_normalisation
from lord.learner.length import passes
from lord.methods import (
    METHODS,
    AnyMethod,
    Inputs,
    MethodConfig,
    OptimizerConfig,
    build_method,
    first_student,
    make_inputs,
)
from lord.methods.optim import check_options
from lord.networks import NetworkConfig, register_network
from lord.streams import PRESETS

NETWORK = NetworkConfig(network="resnet8", width=32)
"""Network where none is given, chosen by ``results/learner-networks``."""
WIDTH = 16
"""Width of another network where none is given."""
HORIZON = 10
"""Sessions over which the student grows. How many will come is not known: later sessions find it
as wide as it gets."""
EVEN: dict[str, Any] = {"keep": "balanced", "admission": 0.0}
UNEVEN: dict[str, dict[str, Any]] = {"lord+": EVEN, "lord-fused": EVEN}
"""Settings by method where none are given. Classes come unevenly over months, and a reservoir
soon holds nothing of a rare one."""


class LearnerConfig(Config, frozen=True):
    """What a learner is made with. It cannot change after the first session."""

    method: str = "lord+"
    """Method that trains the network. It must be able to take new classes later."""
    epochs: Count | None = None
    """Passes over a session's images, where there is no budget. None: enough for
    150 steps, but at least five and at most twenty."""
    batch: AtLeastTwo = 32
    """Images of a training step."""
    seed: Natural = 0
    """Random seed."""
    undo: Natural = 3
    """Sessions that can be taken back. The learner before each of them is kept on disk."""
    network: NetworkConfig = NETWORK
    """The network and its width."""
    backbone: BackboneConfig = BackboneConfig()
    """The pretrained network, if there is one."""
    settings: dict[str, Any] = {}
    """Settings of the method and of its optimizer, by name."""


def make_method(config: LearnerConfig, inputs: Inputs, classes: int, augment: Augment) -> AnyMethod:
    """Build the method, untrained, for its inputs and a number of classes."""
    settings, optimizer = _method_configs(config)
    network = first_student(config.method, settings, config.network, inputs, classes, config.seed)
    with seeded("method", config.seed):  # a plug-in may make layers with random weights
        return build_method(
            config.method,
            settings,
            network=network,
            inputs=inputs,
            augment=augment,
            optimizer=optimizer,
            classes=classes,
            tasks=HORIZON,
            epochs=partial(passes, epochs=config.epochs, batch=config.batch),
            batch=config.batch,
            generator=Generator().manual_seed(config.seed + 1),
        )


def prepare(
    config: LearnerConfig,
    shape: tuple[int, int, int],
    images: Tensor | None = None,
    normalisation: tuple[tuple[float, ...], tuple[float, ...]] | None = None,
) -> tuple[Inputs, Augment]:
    """Make a learner's inputs and their augmentation.

    Small images move by a pixel and are not flipped. Latents are not augmented.

    Args:
        config: the learner's configuration.
        shape: channels, height and width of the images.
        images: images of the first session.
        normalisation: what was measured on them before; replaces ``images``.
    """
    scales = normalisation and Scales(*map(tuple, normalisation))
    inputs = make_inputs(config.method, config.backbone, shape, "cpu", images, scales)
    generator = Generator().manual_seed(config.seed + 2)
    if (latents := inputs.augmentation(generator)) is not None:
        return inputs, latents
    if normalisation is None:
        assert images is not None
        normalisation = measure_normalisation(images)
    mean, std = map(tuple, normalisation)
    large = shape[1] >= 24
    crop = 4 if large else 1
    return inputs, Augment(mean, std, crop=crop, flip=large, generator=generator)


def check_weights(inputs: Inputs, digest: str | None) -> None:
    """Check that the backbone has the weights with which a learner learned.

    Args:
        inputs: inputs of the learner.
        digest: hash of those weights; None without a backbone.

    Raises:
        UserError: if not.
    """
    if inputs.frozen and digest != inputs.weights:
        raise UserError(
            "has other weights than when this learner learned",
            field="backbone",
            given=inputs.frozen.pretrained.name,
            hint="install the package with those weights, or set `weights` to their file",
        )


def flat_settings(config: LearnerConfig) -> dict[str, Any]:
    """Return a configuration as names and values that ``learner_config`` accepts.

    >>> flat_settings(learner_config({"width": 8, "lr": 0.1}))["lr"]
    0.1
    """
    plain = msgspec.to_builtins(config)
    parts = [plain.pop(part) for part in ("network", "backbone", "settings")]
    return {**plain, **parts[0], **parts[1], **parts[2]}


def all_settings(config: LearnerConfig) -> dict[str, Any]:
    """Return every setting by name, those left at their defaults included."""
    return flat_settings(config) | _method_values(config)


def learner_config(given: Mapping[str, Any]) -> LearnerConfig:
    """Check settings by name and make the configuration.

    Args:
        given: settings of the learner, the network, the method and the optimizer. ``network`` may
            be a module. ``settings`` may hold some of them as a mapping.

    Raises:
        UserError: for an unknown setting, or a value that is not allowed.
    """
    more = given.get("settings", {})
    expect("settings", more, Mapping, "names and values")
    values = {**{n: v for n, v in given.items() if n != "settings"}, **more}
    if values.get("width", WIDTH) is None:
        del values["width"]
    _check_kinds(values)
    if isinstance(values.get("network"), nn.Module):
        if values.get("width", WIDTH) != WIDTH:
            raise UserError("does not apply to a module", field="width", hint="leave it out")
        values |= {"network": _registered(values["network"]), "width": WIDTH}
    method = choose("method", values.get("method", LearnerConfig().method), METHODS)
    ours = {"method", "epochs", "batch", "seed", "undo"}
    network = chosen(NetworkConfig, values)
    if network.setdefault("network", NETWORK.network) != NETWORK.network:
        network.setdefault("width", WIDTH)
    network.setdefault("width", NETWORK.width)
    backbone = chosen(BackboneConfig, values)
    apart = {*ours, *network, *backbone}
    rest = {n: v for n, v in values.items() if n not in apart}
    _check_method(method, rest)
    parts = {
        "network": build(NetworkConfig, network),
        "backbone": build(BackboneConfig, backbone),
        "settings": rest,
    }
    config = build(LearnerConfig, {n: v for n, v in values.items() if n in ours} | parts)
    checked = _method_values(config)
    return replace(config, settings={name: checked[name] for name in rest})


def _check_kinds(values: Mapping[str, Any]) -> None:
    """Check that a network is a name or a module, and that no whole configuration is given.

    Raises:
        UserError: otherwise. It says how to pass it.
    """
    if "config" in values:
        hint = "use Learner.from_config(config)"
        raise UserError("is not a setting of a learner", field="config", hint=hint)
    network = values.get("network", "")
    if callable(network) and not isinstance(network, nn.Module):
        name = getattr(network, "__name__", "factory")
        make = "pass an instance" if isinstance(network, type) else "pass the module it returns"
        named = f"lord.register_network({name.lower()!r}, {name})"
        raise UserError(
            field="network",
            given=network,
            allowed="a network's name, or a module",
            hint=f"{make}, or use {named} and pass the name",
        )


def _check_method(method: str, settings: Mapping[str, Any]) -> None:
    """Check that a learner can use a method, and that it or its optimizer has these settings."""
    able = [name for name, recipe in METHODS.items() if recipe.method.traits.widens]
    if method not in able:
        raise UserError(
            "cannot take new classes later",
            field="method",
            given=method,
            allowed=f"one of {', '.join(able)}",
        )
    known = {*METHODS[method].settings, *fields(OptimizerConfig)}
    for name in settings:
        if name not in known:
            names = {*known, *fields(LearnerConfig), *fields(BackboneConfig), "width"}
            raise unknown_setting(name, names, owner=f"a learner with '{method}'")
    if settings.get("ladder") == "auto":
        raise UserError(
            "would change the network when classes are added",
            field="ladder",
            given="auto",
            allowed="short or long in a learner",
        )


def _method_configs(config: LearnerConfig) -> tuple[MethodConfig, OptimizerConfig]:
    """Check the settings, and make the configurations of the method and its optimizer."""
    recipe = METHODS[config.method]
    values = {**PRESETS["images"].settings, **recipe.preset}
    values |= {"ladder": "short"} | UNEVEN.get(config.method, {})
    values |= recipe.above(config.backbone.backbone) | config.settings
    optimizer = build(OptimizerConfig, chosen(OptimizerConfig, values))
    check_options(optimizer, config.settings)
    return recipe.config(values), optimizer


def _method_values(config: LearnerConfig) -> dict[str, Any]:
    """Return the checked settings of the method and its optimizer, by name."""
    method, optimizer = _method_configs(config)
    return {**asdict(optimizer), **asdict(method)}


_REGISTERED: dict[str, nn.Module] = {}


def _registered(module: nn.Module) -> str:
    """Register a module under its class's name, with a number where another module has that."""
    name, number = type(module).__name__, 1
    while _REGISTERED.setdefault(name, module) is not module:
        number += 1
        name = f"{type(module).__name__}-{number}"
    return register_network(name, module)
