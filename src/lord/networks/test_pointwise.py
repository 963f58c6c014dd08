import copy
import subprocess
import sys

import pytest
import torch
from torch import nn

from lord.networks import NetworkConfig, build_network, register_network
from lord.networks.pointwise import StridedPointwise, in_channels_last

LARGE = """
import torch
from lord.networks import NetworkConfig, build_network

network = build_network(NetworkConfig("resnet18", 4), classes=3, channels=3)
for side in (48, 64, 96, 128):
    images = torch.randn(8, 3, side, side).to(memory_format=torch.channels_last)
    for _ in range(3):
        network(images).sum().backward()
"""


def test_a_narrow_network_goes_back_through_large_images_alive():
    assert subprocess.run([sys.executable, "-c", LARGE], check=False).returncode == 0


@pytest.mark.parametrize("channels", [5, 16, 24])
@pytest.mark.parametrize("stride", [2, (1, 3)])
def test_a_safe_convolution_gives_the_same_numbers_and_gradients(channels, stride):
    torch.manual_seed(0)
    plain = nn.Conv2d(channels, 7, 1, stride).to(memory_format=torch.channels_last)
    safe = in_channels_last(copy.deepcopy(plain))
    assert type(safe) is StridedPointwise
    x = torch.randn(3, channels, 11, 10).to(memory_format=torch.channels_last)
    given = [x.clone().requires_grad_() for _ in range(2)]
    out = [layer(own) for layer, own in zip((plain, safe), given, strict=True)]
    for each in out:
        each.square().sum().backward()
    torch.testing.assert_close(out[0], out[1])
    torch.testing.assert_close(given[0].grad, given[1].grad)
    torch.testing.assert_close(plain.weight.grad, safe.weight.grad)


def test_a_users_network_is_made_safe_too_and_others_layers_are_left_alone():
    name = register_network(
        "own-strided",
        nn.Sequential(nn.Conv2d(3, 4, 1, 2), nn.Conv2d(4, 4, 3, 2), nn.Flatten(), nn.Linear(36, 2)),
    )
    network = build_network(NetworkConfig(name, 4), classes=5, channels=3)
    assert [type(layer) for layer in network][:2] == [StridedPointwise, nn.Conv2d]
