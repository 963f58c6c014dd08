"""The networks of the protocol, by name, and the door for a user's own."""

from lord.networks.build import (
    NETWORKS,
    OUR_NETWORKS,
    NetworkConfig,
    build_network,
    first_network,
    initialised,
    register_network,
    seeded,
)
from lord.networks.cnn import SmallCNN
from lord.networks.own import LIBRARIES, head_name
from lord.networks.resnet import ResNet18

__all__ = [
    "LIBRARIES",
    "NETWORKS",
    "OUR_NETWORKS",
    "NetworkConfig",
    "ResNet18",
    "SmallCNN",
    "build_network",
    "first_network",
    "head_name",
    "initialised",
    "register_network",
    "seeded",
]
