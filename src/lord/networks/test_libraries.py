"""Models of torchvision and timm, and errors for those that cannot be used."""

import importlib
import re

import pytest
import torch

from lord.channels import trace
from lord.config import build
from lord.conftest import refused
from lord.networks import NetworkConfig, build_network


def require(library):
    try:
        importlib.import_module(library)
    except Exception as error:
        pytest.skip(f"{library} cannot be imported: {error}")


@pytest.mark.parametrize("library", ["torchvision", "timm"])
def test_the_error_for_a_missing_library_says_how_to_install_it(library):
    try:
        importlib.import_module(library)
    except Exception:
        name = f"{library}:resnet18"
        hint = f"run: pip install 'lord-cl[{library}]'"
        with refused("network", given=name, problem=re.compile(f"needs {library}"), hint=hint):
            build(NetworkConfig, {"network": name})
    else:
        pytest.skip(f"{library} is installed")


def test_an_unknown_library_is_refused():
    allowed = "torchvision:MODEL or timm:MODEL"
    with refused("network", given="keras:resnet18", allowed=allowed, hint=None):
        build(NetworkConfig, {"network": "keras:resnet18"})
    with refused("network", given="tim:resnet18", hint="did you mean 'timm'?"):
        build(NetworkConfig, {"network": "tim:resnet18"})


@pytest.mark.parametrize("library", ["torchvision", "timm"])
def test_an_unknown_model_gets_the_nearest_name(library):
    require(library)
    problem = f"is not a model of {library}"
    with refused("network", problem=problem, hint=re.compile("did you mean 'resnet")):
        build(NetworkConfig, {"network": f"{library}:resnet-18"})


def test_torchvision_takes_colour_images_only():
    require("torchvision")
    config = NetworkConfig(network="torchvision:resnet18")
    problem = "takes images of 3 channels; these have 1"
    with refused("network", given="torchvision:resnet18", problem=problem):
        build_network(config, classes=4, channels=1)


@pytest.mark.parametrize(
    "name",
    [
        *("torchvision:resnet18", "torchvision:vgg11_bn", "torchvision:mobilenet_v2"),
        *("torchvision:densenet121", "torchvision:convnext_tiny"),
        *("torchvision:resnext50_32x4d", "timm:resnet50_gn"),
        *("timm:resnet18d", "timm:vit_tiny_patch16_224", "timm:convnext_atto"),
    ],
)
def test_the_channels_of_a_librarys_model_are_mapped(name):
    require(name.partition(":")[0])
    side = 224 if "vit" in name else 64
    network = build_network(NetworkConfig(network=name), classes=4, channels=3)
    channels = trace(network, torch.randn(2, 3, side, side))  # verifies the map
    half = [(group.size + 1) // 2 for group in channels.groups]
    assert channels.flops(half) < 0.5 * channels.flops(channels.full)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("torchvision:vit_b_16", "'conv_proj'.*once it is narrowed, the forward pass fails"),
        ("torchvision:shufflenet_v2_x0_5", "ShuffleNetV2"),
        ("torchvision:swin_t", "positions for channels"),
        ("timm:ghostnet_100", "the order of its channels matters"),
    ],
)
def test_a_librarys_model_that_cannot_be_mapped_is_refused(name, problem):
    require(name.partition(":")[0])
    network = build_network(NetworkConfig(network=name), classes=4, channels=3)
    side = 224 if "vit" in name else 64
    with refused("network", problem=re.compile(problem)):
        trace(network, torch.randn(2, 3, side, side))
