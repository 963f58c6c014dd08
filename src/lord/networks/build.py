"""Make a network by its name. To add a network, extend ``NETWORKS`` or register it in a plug-in."""

import copy
from typing import Annotated, Literal

from msgspec import Meta
from torch import nn
from torch.nn.parameter import is_lazy

from lord.config import Config, UserError, expect, first_line, nearest, note_owner, seeded
from lord.networks.classifier import check_classifier, with_outputs
from lord.networks.cnn import SmallCNN
from lord.networks.families import MLP, VGG, BottleneckNet, DenseNet, MobileNet, SqueezeNet
from lord.networks.layernorm import ConvNeXt, VisionTransformer
from lord.networks.libraries import NetworkFactory, library_network
from lord.networks.pointwise import to_channels_last
from lord.networks.resnet import ResNet8, ResNet18
from lord.networks.seeding import initialised
from lord.networks.stem import start_from_frequencies

NETWORKS: dict[str, NetworkFactory] = {
    "resnet18": ResNet18,
    "resnet8": ResNet8,
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
"""Names of the networks that come with this package."""


class NetworkConfig(Config, frozen=True):
    """Which network is trained, and how wide it is."""

    network: str = "resnet18"
    """Network to train, starting from random weights: resnet18, resnet8, cnn, mlp, vgg, bottleneck,
    squeeze, mobilenet, densenet, convnext or vit. Models of installed libraries are
    torchvision:MODEL and timm:MODEL. A plug-in can add others."""
    width: Annotated[int, Meta(ge=4)] = 64
    """Channels of the network's first stage. Later stages have a multiple of it. Models of
    torchvision and timm ignore it."""
    stem: Literal["random", "dct"] = "random"
    """First weights of the convolution that reads the images: random as in PyTorch, or the lowest
    frequencies of a discrete cosine transform (dct)."""

    def __post_init__(self) -> None:
        _factory(self.network)


def _factory(name: str) -> NetworkFactory:
    """Return the function that makes the network of this name.

    Raises:
        UserError: if there is none.
    """
    if ":" in name:
        return library_network(name)
    if name in NETWORKS:
        return NETWORKS[name]
    hints = (nearest(name, NETWORKS), "lord.register_network adds a network, as in a plug-in")
    raise UserError(
        field="network",
        given=name,
        allowed=f"one of {', '.join(NETWORKS)}",
        hint="; ".join(hint for hint in hints if hint),
    )


def register_network(name: str, network: nn.Module | NetworkFactory) -> str:
    """Register a network under a name, so that ``network`` settings accept it.

    If the name was registered before, the new network replaces the old one.

    >>> name = register_network("linear", nn.Sequential(nn.Flatten(), nn.Linear(64, 2)))
    >>> build_network(NetworkConfig(network=name), classes=5, channels=1)[1].out_features
    5

    Args:
        name: a new name without spaces, colons, commas, equals signs, dots or slashes.
        network: a module, or a function that returns one. The function is called with the number
            of classes, the width and the images' channels. A module is copied: copies keep its
            weights, but their last linear layer is new and has one output for each class.

    Returns:
        The name.

    Raises:
        UserError: if the name is not allowed, or ``network`` cannot be called.
    """
    expect("name", name, str, "text")
    if name in OUR_NETWORKS or set(name) & set(" :,=./") or not name:
        allowed = "a new name without spaces or any of : , = . /"
        raise UserError(field="name", given=name, allowed=allowed)
    if not callable(network):
        allowed = "a module, or a function that returns one"
        raise UserError(field="network", given=network, allowed=allowed)
    if isinstance(network, nn.Module):
        original = copy.deepcopy(network)  # later changes to the caller's module do not count
        NETWORKS[name] = lambda classes, width, channels: with_outputs(original, classes)
    else:
        NETWORKS[name] = network
    note_owner("network", name)
    return name


def build_network(config: NetworkConfig, *, classes: int, channels: int) -> nn.Module:
    """Make a network in channels-last memory order.

    It is initialised as PyTorch does, except the first convolution where ``stem`` says so.

    Args:
        config: name, width and first weights.
        classes: number of logits for an image.
        channels: channels of the images.

    Returns:
        A module from N x channels x H x W images to N x classes logits.

    Raises:
        UserError: if a registered function fails, or does not return a module that can be used, or
            ``stem`` is dct and no convolution reads the images.
    """
    network = _made(config, classes, channels)
    if config.stem == "dct":
        start_from_frequencies(network, channels)
    return to_channels_last(network)


def _made(config: NetworkConfig, classes: int, channels: int) -> nn.Module:
    """Return a new network, or a copy of what a registered function returns."""
    name, make = config.network, _factory(config.network)
    if name in OUR_NETWORKS:
        return make(classes, config.width, channels)
    try:
        network = make(classes, config.width, channels)
    except UserError:
        raise
    except Exception as error:
        call = f"({classes}, {config.width}, {channels})"
        reason = f"cannot be made: called with {call}, it raised {type(error).__name__}"
        raise UserError(f"{reason}: {first_line(error)}", field="network", given=name) from error
    if not isinstance(network, nn.Module):
        reason = f"returned {network!r}"
        raise UserError(reason, field="network", given=name, allowed="a module")
    if any(is_lazy(tensor) for tensor in (*network.parameters(), *network.buffers())):
        hint = "pass a batch through it before you return it"
        raise UserError("has layers of unknown size", field="network", given=name, hint=hint)
    return copy.deepcopy(network)  # the function may keep what it returned


def first_network(
    config: NetworkConfig, *, classes: int, shape: tuple[int, ...], seed: int
) -> nn.Module:
    """Make the network that a run starts from, and check that it can be trained.

    Its initial weights depend only on the seed.

    Args:
        config: name, width and first weights.
        classes: number of logits for an image.
        shape: channels, height and width of an image.
        seed: seed of the initial weights.

    Returns:
        A module from N x C x H x W images to N x classes logits.

    Raises:
        UserError: if it does not accept these images, or does not return one logit for each class.
    """
    network = initialised(lambda: build_network(config, classes=classes, channels=shape[0]), seed)
    with seeded(seed):
        check_classifier(network, shape, classes)
    return network
