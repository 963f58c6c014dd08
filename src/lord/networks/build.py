"""From a name in a configuration to a module. A new network is one line in ``NETWORKS``, or
registered."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated
from zlib import crc32

import torch
from msgspec import Meta
from torch import nn
from torch.nn.parameter import is_lazy

from lord.config import Config, UserError, choose, expect, first_line
from lord.networks.cnn import SmallCNN
from lord.networks.families import MLP, VGG, BottleneckNet, DenseNet, MobileNet, SqueezeNet
from lord.networks.layernorm import ConvNeXt, VisionTransformer
from lord.networks.own import Make, check_outputs, library_network, maker
from lord.networks.pointwise import in_channels_last
from lord.networks.resnet import ResNet18

NETWORKS: dict[str, Make] = {
    "resnet18": ResNet18,
    "cnn": SmallCNN,
    "mlp": MLP,
    "vgg": VGG,
    "bottleneck": BottleneckNet,
    "squeeze": SqueezeNet,
    "mobilenet": MobileNet,
    "densenet": DenseNet,
    "convnext": ConvNeXt,
    "vit": VisionTransformer,
}
OUR_NETWORKS = tuple(NETWORKS)


class NetworkConfig(Config, frozen=True):
    """Which network, and how wide."""

    network: str = "resnet18"
    """Its name; or torchvision:NAME, timm:NAME where installed, as wide as it is."""
    width: Annotated[int, Meta(ge=4)] = 64
    """Channels of its first stage."""

    def __post_init__(self) -> None:
        found(self.network)


def found(name: str) -> Make:
    """The network of this name.

    Raises:
        UserError: if there is none.
    """
    if ":" in name:
        return library_network(name)
    try:
        return NETWORKS[choose("network", name, NETWORKS)]
    except UserError as error:
        raise UserError(f"{error}; one of your own: lord.register_network, or a plug-in") from None


def register_network(name: str, network: nn.Module | Make) -> str:
    """Make a network of your own known by a name, and return that.

    Args:
        name: what it will be called.
        network: a function from (classes, width, channels of the images) to a module; or a
            module, of which copies are made: its weights are kept, its last linear layer gets as
            many outputs as there are classes.

    Registered again, a name stands for the later one.

    Raises:
        UserError: if it is neither, or the name is one of ours or would not do on a command line.
    """
    expect("network's name", name, str, "text")
    if not callable(network):
        raise UserError(f"network '{name}': expected a module or a function, got {network!r}")
    if name in OUR_NETWORKS or set(name) & set(" :,=./") or not name:
        raise UserError(f"network: its name must be new and plain, got '{name}'")
    NETWORKS[name] = maker(network)
    return name


def build_network(config: NetworkConfig, *, classes: int, channels: int) -> nn.Module:
    """The network as PyTorch initialises it, in channels-last memory order.

    Raises:
        UserError: if a user's function does not make one.
    """
    make, name = found(config.network), config.network
    try:
        network = make(classes, config.width, channels)
    except UserError:
        raise
    except Exception as error:  # it is the user's
        if name in OUR_NETWORKS:
            raise
        call = f"({classes}, {config.width}, {channels})"
        said = f"{type(error).__name__}: {first_line(error)}"
        raise UserError(f"network '{name}' cannot be made, called with {call}: {said}") from error
    if not isinstance(network, nn.Module):
        raise UserError(
            f"network '{name}': expected its function to return a module, got {network!r}"
        )
    if any(is_lazy(own) for own in (*network.parameters(), *network.buffers())):
        raise UserError(f"network '{name}' has layers of no known size yet: run it once before")
    # A function may give the same module every time: what is trained is a copy.
    return in_channels_last(network if name in OUR_NETWORKS else copy.deepcopy(network))


def first_network(
    config: NetworkConfig, *, classes: int, shape: tuple[int, ...], seed: int
) -> nn.Module:
    """A network to begin with: initialised by the seed alone, and seen to take such images.

    Raises:
        UserError: if it does not take them, or gives no logit a class.
    """
    network = initialised(lambda: build_network(config, classes=classes, channels=shape[0]), seed)
    with seeded(seed):
        check_outputs(network, shape, classes)
    return network


def initialised(make: Callable[[], nn.Module], seed: int) -> nn.Module:
    """Call ``make``; the first weights its layers draw are decided by the seed."""
    with seeded(seed):
        return make()


@contextmanager
def seeded(*parts: int | str) -> Iterator[None]:
    """Inside, PyTorch's global generators start from what these parts say; after it, they are as
    they were.

    Layers draw first weights and dropout from them: a run must neither depend on them nor move
    them, and one that goes on must draw what it would have drawn.
    """
    seed = parts[0] if len(parts) == 1 else crc32(repr(parts).encode())
    used = [torch.default_generator]  # torch.random.fork_rng does the same in ten times the time
    if torch.cuda.is_initialized():
        used += torch.cuda.default_generators
    before = [generator.get_state() for generator in used]
    for generator in used:
        generator.manual_seed(int(seed))
    try:
        yield
    finally:
        for generator, state in zip(used, before, strict=True):
            generator.set_state(state)
