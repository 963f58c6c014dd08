"""From a name in a configuration to a module. A new network is one line in ``NETWORKS``."""

from collections.abc import Callable
from typing import Annotated

import torch
from msgspec import Meta
from torch import nn

from lord.config import Settings, choose
from lord.networks.cnn import SmallCNN
from lord.networks.families import MLP, VGG, BottleneckNet, DenseNet, MobileNet, SqueezeNet
from lord.networks.layernorm import ConvNeXt, VisionTransformer
from lord.networks.resnet import ResNet18

NETWORKS: dict[str, Callable[..., nn.Module]] = {
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


class NetworkConfig(Settings, frozen=True):
    """Which network, and how wide."""

    network: str = "resnet18"
    """Name of the network."""
    width: Annotated[int, Meta(ge=4)] = 64
    """Channels of its first stage."""

    def __post_init__(self) -> None:
        choose("network", self.network, NETWORKS)


def build_network(config: NetworkConfig, *, classes: int, channels: int) -> nn.Module:
    """The network as PyTorch initialises it, in channels-last memory order."""
    network = NETWORKS[config.network](classes, config.width, channels)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def initialised(make: Callable[[], nn.Module], seed: int) -> nn.Module:
    """Call ``make`` with the global generator seeded, and leave that generator as it was.

    PyTorch's layers draw their first weights from the global generator; a run must neither
    depend on it nor move it.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()
