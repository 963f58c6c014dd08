"""What a learner is made with, and the method made from that."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta
from torch import Generator, nn

from lord.config import (
    Config,
    UserError,
    build,
    check_budget,
    choose,
    chosen,
    expect,
    fields,
)
from lord.config.types import Count
from lord.data import Augment
from lord.methods import METHODS, AnyMethod, MethodConfig, OptimizerConfig, build_method
from lord.networks import NetworkConfig, first_network, register_network
from lord.streams import PRESETS

HORIZON = 10
"""Sessions after which the student has grown to what ten tasks of the protocol lead to. How many
will come is not known; later ones find it as wide as it gets."""

UNEVEN: dict[str, dict[str, Any]] = {"lord+": {"keep": "balanced", "admission": 0.0}}
"""Settings by method, where none are given: over months classes come unevenly, and of a rare one
a reservoir soon has nothing left."""


class LearnerConfig(Config, frozen=True):
    """What a learner is made with; it cannot change afterwards."""

    method: str = "lord+"
    epochs: Count = 5
    """Passes over a session's images, where there is no budget."""
    batch: Annotated[int, Meta(ge=2)] = 32
    """Images of a step."""
    seed: Annotated[int, Meta(ge=0, lt=2**31)] = 0
    network: NetworkConfig = NetworkConfig(network="resnet18", width=16)
    settings: dict[str, Any] = {}
    """Of the method, and of the optimizer, by name."""


def make_method(
    config: LearnerConfig, shape: tuple[int, int, int], classes: int, augment: Augment
) -> AnyMethod:
    """The method as if it had learnt nothing, with so many classes."""
    network = first_network(config.network, classes=classes, shape=shape, seed=config.seed)
    own, optimizer = _built(config)
    return build_method(
        config.method,
        own,
        network=network,
        augment=augment,
        optimizer=optimizer,
        shape=shape,
        classes=classes,
        tasks=HORIZON,
        epochs=config.epochs,
        batch=config.batch,
        generator=Generator().manual_seed(config.seed + 1),
    )


def _built(config: LearnerConfig) -> tuple[MethodConfig, OptimizerConfig]:
    """The method's settings and the optimizer's, checked."""
    recipe = METHODS[config.method]
    values = {**PRESETS["images"].settings, **recipe.preset}
    values |= {"ladder": "short"} | UNEVEN.get(config.method, {}) | config.settings
    return recipe.config(values), build(OptimizerConfig, chosen(OptimizerConfig, values))


def augmentation(
    shape: tuple[int, int, int], seed: int, mean: tuple[float, ...], std: tuple[float, ...]
) -> Augment:
    """Of training images: small ones are hardly moved, and not mirrored."""
    large = shape[1] >= 24
    generator = Generator().manual_seed(seed + 2)
    return Augment(tuple(mean), tuple(std), crop=4 if large else 1, flip=large, generator=generator)


def by_name(config: LearnerConfig) -> dict[str, Any]:
    """All it says, by the names ``learner_config`` takes."""
    own, network = msgspec.to_builtins(config), msgspec.to_builtins(config.network)
    return own | network | config.settings


def _registered(module: nn.Module) -> str:
    """A name for a user's module: its class's, with a number where another module has that."""
    name, number = type(module).__name__, 1
    while _OWN.setdefault(name, module) is not module:
        number += 1
        name = f"{type(module).__name__}-{number}"
    return register_network(name, module)


_OWN: dict[str, nn.Module] = {}


def bounded(config: LearnerConfig, seconds: float | None, flops: float | None) -> None:
    """See that a session can be given this budget, if any.

    Raises:
        UserError: if it is none, or the method does not learn by its steps.
    """
    check_budget(seconds, flops)
    if (seconds or flops) and not METHODS[config.method].method.traits.by_steps:
        raise UserError(f"method '{config.method}' trains when a session ends: no budget")


def settled(config: LearnerConfig | None, given: dict[str, Any]) -> LearnerConfig:
    """A configuration given whole, or by settings, not both.

    Raises:
        UserError: if it is neither, or both.
    """
    expect("config", config, (LearnerConfig, type(None)), "a LearnerConfig or settings by name")
    if config and given:
        raise UserError(f"config: it says what {min(given)} is: give one or the other")
    return config or learner_config(given)


def learner_config(given: dict[str, Any]) -> LearnerConfig:
    """Settings by name, each to where it belongs; a network may be a module itself.

    Raises:
        UserError: for one that nothing has.
    """
    if isinstance(given.get("network"), nn.Module):
        if "width" in given:
            raise UserError("width: a module has its own; leave it out")
        given = given | {"network": _registered(given["network"])}
    own = chosen(
        LearnerConfig, {n: v for n, v in given.items() if n not in ("network", "settings")}
    )
    usual = LearnerConfig()
    network = msgspec.to_builtins(usual.network) | chosen(NetworkConfig, given)
    method = choose("method", own.get("method", usual.method), METHODS)
    able = [name for name, recipe in METHODS.items() if recipe.method.traits.widens]
    if method not in able:
        raise UserError(
            "cannot take new classes later",
            field="method",
            given=method,
            allowed=f"one of {', '.join(able)}",
        )
    rest = {n: v for n, v in given.items() if n not in own and n not in network}
    more = rest.pop("settings", {})
    if not isinstance(more, dict):
        raise UserError(f"settings: expected names and values, got {more!r}")
    rest |= more
    if rest.get("ladder") == "auto":  # it would change under a learner as classes come
        raise UserError("ladder: of a learner it is short or long, got auto")
    known = {*METHODS[method].settings, *fields(OptimizerConfig)}
    for name in rest:
        choose("setting", name, sorted(known | {*fields(LearnerConfig)}))
    parts = {"network": build(NetworkConfig, network), "settings": rest}
    config = build(LearnerConfig, own | parts)
    _built(config)
    return config
