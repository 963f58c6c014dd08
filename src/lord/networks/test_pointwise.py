import copy
import subprocess
import sys

import pytest
import torch
from torch import nn

from lord.networks import NetworkConfig, build_network, register_network
from lord.networks.pointwise import StridedPointwise, to_channels_last

LARGE = """
import torch
from lord.networks import NetworkConfig, build_network

network = build_network(NetworkConfig(network="resnet18", width=4), classes=3, channels=3)
for side in (48, 64, 96, 128):
    images = torch.randn(8, 3, side, side).to(memory_format=torch.channels_last)
    for _ in range(3):
        network(images).sum().backward()
"""


@pytest.mark.slow
def test_the_backward_pass_of_a_narrow_network_does_not_crash():
    assert subprocess.run([sys.executable, "-c", LARGE], check=False).returncode == 0


@pytest.mark.parametrize("channels", [5, 16, 24])
@pytest.mark.parametrize("stride", [2, (1, 3)])
def test_results_and_gradients_equal_those_of_an_ordinary_convolution(channels, stride):
    torch.manual_seed(0)
    plain = nn.Conv2d(channels, 7, 1, stride).to(memory_format=torch.channels_last)
    safe = to_channels_last(copy.deepcopy(plain))
    assert type(safe) is StridedPointwise
    x = torch.randn(3, channels, 11, 10).to(memory_format=torch.channels_last)
    inputs = [x.clone().requires_grad_() for _ in range(2)]
    outputs = [layer(each) for layer, each in zip((plain, safe), inputs, strict=True)]
    for output in outputs:
        output.square().sum().backward()
    torch.testing.assert_close(*outputs)
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad)
    torch.testing.assert_close(plain.weight.grad, safe.weight.grad)


def test_a_registered_network_gets_safe_layers_only_where_it_needs_them():
    name = register_network(
        "strided",
        nn.Sequential(nn.Conv2d(3, 4, 1, 2), nn.Conv2d(4, 4, 3, 2), nn.Flatten(), nn.Linear(36, 2)),
    )
    network = build_network(NetworkConfig(network=name, width=4), classes=5, channels=3)
    assert [type(layer) for layer in network][:2] == [StridedPointwise, nn.Conv2d]
