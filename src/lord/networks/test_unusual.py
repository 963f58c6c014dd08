"""Networks with unusual code. They work, or the error names the layer."""

import re

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import lord
from lord.channels import trace
from lord.conftest import refused
from lord.learner import Learner, load_model
from lord.networks.build import register_network
from lord.networks.conftest import DIGITS, digits
from lord.student import Ladder
from lord.teacher import search_teacher


class Plain(nn.Module):
    """Two convolutions without a bias, and a head. A blank image hides their weights."""

    def __init__(self, classes=2, width=8, channels=1):
        super().__init__()
        self.a = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.b = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.head = nn.Linear(width, classes)

    def between(self, x):
        return x

    def forward(self, x):
        return self.head(self.b(self.between(F.relu(self.a(x)))).mean((2, 3)))


class Rolled(Plain):
    def between(self, x):
        return x + x.roll(1, 1)


class Shuffled(Plain):
    def between(self, x):
        n, c, h, w = x.shape
        return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


class Tied(Plain):
    def __init__(self, *size):
        super().__init__(*size)
        self.again = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.again.weight = self.b.weight

    def between(self, x):
        return self.again(x)


class Centred(Plain):
    def __init__(self, *size):
        super().__init__(*size)
        self.register_buffer("mean", torch.full((1, 1, 1, 1), 0.3), persistent=False)
        self.scale = torch.tensor(2.0)

    def between(self, x):
        return (x - self.mean) * self.scale


class HeadFirst(nn.Module):
    def __init__(self, classes=2, width=8, channels=1):
        super().__init__()
        self.head = nn.Linear(2 * width, classes)
        self.a = nn.Conv2d(channels, width, 3)
        self.inner = nn.Linear(width, 2 * width)

    def forward(self, x):
        return self.head(F.relu(self.inner(F.relu(self.a(x)).mean((2, 3)))))


@pytest.mark.parametrize(
    ("network", "problem"),
    [
        (Rolled, "layer 'a'"),
        (Shuffled, "cannot be resized"),
        (Tied, "'again.weight'.*shared with 'b.weight'"),
    ],
)
def test_a_map_is_verified_on_noise_rather_than_on_a_blank_image(network, problem):
    whole = network()
    whole.a.requires_grad_(False)
    with refused("network", problem=re.compile(problem)):
        trace(whole, torch.zeros(2, 1, 8, 8))
    assert not whole.a.weight.requires_grad  # restored


def test_weights_computed_from_other_parameters_are_refused_by_name():
    layers = [nn.Conv2d(1, 8, 3), nn.Conv2d(8, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    layers[1] = nn.utils.parametrizations.weight_norm(layers[1])
    with refused("network", problem=re.compile("'1.weight'.*computed from other")):
        trace(nn.Sequential(*layers, nn.Linear(8, 2)), torch.zeros(2, 1, 8, 8))


@pytest.mark.parametrize("network", [Centred, Tied])
def test_a_run_saves_a_model_that_predicts(tmp_path, network):
    register_network("unusual", network)
    config = lord.compose("er", {"network": "unusual", "width": 8, "epochs": 1}, preset="digits")
    lord.run(config, tmp_path / "run")
    model = load_model(tmp_path / "run")
    assert model.predict(DIGITS.test_images).std() > 0


def test_non_persistent_buffers_survive_growth():
    learner = Learner(network=Centred(), epochs=1, buffer=64)
    learner.learn(*digits("0", "1"))
    learner.learn(*digits("2"))
    student = learner.method.student
    assert (student.mean.item(), student.scale.item()) == (pytest.approx(0.3), 2)


@pytest.mark.parametrize("method", ["er", "lord+"])
def test_a_head_that_is_not_defined_last_cannot_get_new_classes(method):
    register_network("headfirst", HeadFirst)
    learner = Learner(network="headfirst", width=8, method=method, epochs=1, buffer=64)
    learner.learn(*digits("0", "1"))
    with refused("network", problem=re.compile("last linear layer")):
        learner.learn(*digits("2"))
    assert learner.classes == ["0", "1"]


def test_a_network_without_hidden_channels_is_trained_at_full_size():
    learner = Learner(network=nn.Sequential(nn.Flatten(), nn.Linear(64, 2)), epochs=3, buffer=64)
    learner.learn(*digits("0", "1"))
    learner.learn(*digits("2"))
    assert learner.evaluate(*digits("0", "1", "2")) > 80


def test_a_depthwise_layer_stays_depthwise_when_it_grows_from_one_channel():
    layers = [nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 2, 3, groups=2), nn.Conv2d(2, 16, 1)]
    network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 2))
    ladder = Ladder.for_network(trace(network, torch.zeros(2, 1, 8, 8)), 10)
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(32, 1, 8, 8, generator=generator)
    for level in (4, 10):
        teacher = search_teacher(
            ladder, network, level, None, noise=noise, number=50, generator=generator
        )
        assert teacher.module(noise).shape == (32, 2)
