"""The networks of the protocol, by name, and the door for a user's own."""

from lord.networks.build import NETWORKS, NetworkConfig, build_network, initialised
from lord.networks.cnn import SmallCNN
from lord.networks.resnet import ResNet18

__all__ = [
    "NETWORKS",
    "NetworkConfig",
    "ResNet18",
    "SmallCNN",
    "build_network",
    "initialised",
]
