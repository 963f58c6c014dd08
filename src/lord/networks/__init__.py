"""Networks by name: those of this package, of torchvision and timm, and registered ones."""

from lord.networks.build import (
    NETWORKS,
    OUR_NETWORKS,
    NetworkConfig,
    build_network,
    first_network,
    register_network,
)
from lord.networks.classifier import head_name
from lord.networks.cnn import SmallCNN
from lord.networks.libraries import LIBRARIES
from lord.networks.pointwise import to_channels_last
from lord.networks.resnet import ResNet8, ResNet18
from lord.networks.seeding import initialised

__all__ = [
    "LIBRARIES",
    "NETWORKS",
    "OUR_NETWORKS",
    "NetworkConfig",
    "ResNet8",
    "ResNet18",
    "SmallCNN",
    "build_network",
    "first_network",
    "head_name",
    "initialised",
    "register_network",
    "to_channels_last",
]
