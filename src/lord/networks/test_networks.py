import re

import pytest
import torch

from lord.config import build
from lord.conftest import refused
from lord.costs import FlopCount
from lord.networks import NetworkConfig, ResNet8, ResNet18, SmallCNN, build_network, initialised


def test_the_protocols_resnet_has_11_174_million_parameters():
    assert sum(p.numel() for p in ResNet18(10).parameters()) == 11_173_962


def test_resnet8_has_a_tenth_of_the_flops_of_resnet18_on_images_of_32_pixels():
    flops = []
    for make in (ResNet8, ResNet18):
        with FlopCount() as count:
            make(10, 16).eval()(torch.zeros(1, 3, 32, 32))
        flops.append(count.total)
    assert flops[0] / flops[1] == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize("width", [4, 16])
def test_networks_map_each_image_to_one_logit_per_class(width):
    for network in (ResNet8(7, width), ResNet18(7, width)):
        assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 7)
    assert SmallCNN(7, width)(torch.zeros(2, 1, 8, 8)).shape == (2, 7)


def test_initial_weights_depend_only_on_the_seed_and_not_on_the_global_generator():
    def weights(seed):
        config = NetworkConfig(network="cnn", width=4)
        network = initialised(lambda: build_network(config, classes=2, channels=1), seed)
        return torch.cat([p.flatten() for p in network.parameters()])

    before = torch.random.get_rng_state()
    first = weights(0)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.rand(5)
    assert torch.equal(weights(0), first)
    assert not torch.equal(weights(1), first)


def test_the_error_for_an_unknown_network_has_the_nearest_name_and_a_hint():
    hint = re.compile(r"did you mean 'resnet8'\?; lord.register_network adds")
    with refused(
        "network", given="resnet", allowed=re.compile("one of resnet18, resnet8, cnn"), hint=hint
    ):
        build(NetworkConfig, {"network": "resnet"})


def test_a_network_that_is_too_narrow_is_refused():
    with refused("width", given=2, allowed="an integer, at least 4"):
        build(NetworkConfig, {"width": 2})
