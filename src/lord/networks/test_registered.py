"""Networks that users register or pass to a learner, and errors for unusable networks."""

import re

import pytest
import torch
from torch import nn

import lord
from lord.config import UserError
from lord.conftest import refused
from lord.learner import Learner
from lord.networks import NetworkConfig, first_network, register_network
from lord.networks.build import NETWORKS
from lord.networks.conftest import digits


class Mine(nn.Module):
    """A classifier with a fixed number of classes."""

    def __init__(self, classes=7):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(),
            nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
        )  # fmt: skip
        self.out = nn.Linear(16, classes)

    def forward(self, x):
        return self.out(self.body(x).mean((2, 3)))


def test_a_learner_keeps_a_modules_weights_and_extends_its_head(tmp_path):
    module = Mine()
    with torch.no_grad():
        module.body[0].weight.fill_(0.25)  # as if trained elsewhere
    learner = Learner(network=module, epochs=2, buffer=64, method="er-las", lr=1e-4)
    learner.learn(*digits("0", "1"))
    taken = learner.method.student
    assert taken.out.out_features == 2
    assert (taken.body[0].weight - 0.25).abs().max() < 0.05
    assert module.out.out_features == 7
    learner.learn(*digits("2"))
    assert learner.method.student.out.out_features == 3
    learner.save(tmp_path / "state")
    back = Learner.load(tmp_path / "state")
    images = digits("0", "1", "2")[0]
    assert back.predictions(images) == learner.predictions(images)


def test_a_checkpoint_of_an_unregistered_network_is_refused(tmp_path, monkeypatch):
    learner = Learner(network=Mine(), epochs=1, method="er")
    learner.learn(*digits("0", "1"))
    learner.save(tmp_path / "state")
    monkeypatch.setattr("lord.networks.build.NETWORKS", {"cnn": NETWORKS["cnn"]})
    name = learner.config.network.network
    with pytest.raises(UserError, match=f"'{name}'"):
        Learner.load(tmp_path / "state")
    back = Learner.load(tmp_path / "state", network=Mine())  # its weights do not matter
    images = digits("0", "1")[0]
    assert back.predictions(images) == learner.predictions(images)
    for other in (nn.Linear(64, 2), 5):
        with pytest.raises(UserError):
            Learner.load(tmp_path / "state", network=other)


def test_lord_grows_a_users_module():
    learner = Learner(network=Mine(), epochs=1, buffer=64, pace=2)
    levels = [learner.learn(*digits(*pair)).level for pair in (("0", "1"), ("2", "3"))]
    assert levels[0] is not None
    assert learner.method.elastic.counts[0] < 8


def test_a_run_trains_a_registered_function(tmp_path):
    register_network("mine", lambda classes, width, channels: Mine(classes))
    config = lord.compose("er", {"epochs": 1, "network": "mine"}, preset="digits")
    assert len(lord.run(config, tmp_path / "run").matrices.class_il) == 5
    assert lord.load_model(tmp_path / "run").network.out.out_features == 10


@pytest.mark.parametrize("name", ["resnet18", "my:net", "a net", ""])
def test_a_reserved_name_or_one_with_special_characters_is_refused(name):
    with refused("name", given=name, allowed=re.compile("a new name without spaces")):
        register_network(name, Mine())


def make_first(network, shape=(1, 8, 8), **config):
    """Make a network of three classes for images of ``shape``."""
    return first_network(NetworkConfig(network=network, **config), classes=3, shape=shape, seed=0)


class Doubling(Mine):
    def forward(self, x):
        return super().forward(x).repeat(1, 2)


class Heads(Mine):
    def forward(self, x):
        return [super().forward(x)]


class Auxiliary(Mine):
    def forward(self, x):
        return (super().forward(x), x) if self.training else super().forward(x)


@pytest.mark.parametrize(
    ("network", "problem"),
    [
        (Doubling, "returns (2, 6) for 2 images in evaluation mode"),
        (Heads, "returns list for 2 images in evaluation mode"),
        (Auxiliary, "returns tuple for 2 images in training mode"),
    ],
)
def test_a_module_with_other_outputs_than_logits_is_refused(network, problem):
    register_network("odd", network())
    allowed = "logits of shape (2, 3)"
    with refused("network", given=network.__name__, problem=problem, allowed=allowed):
        make_first("odd")


class Frozen(Mine):
    def __init__(self, classes=7):
        super().__init__(classes)
        self.requires_grad_(False)


@pytest.mark.parametrize(
    ("network", "given", "problem"),
    [
        (nn.Conv2d(1, 3, 3), "Conv2d", "has no linear layer to use as its head"),
        (lambda *_: Frozen(3), "Frozen", "has no trainable parameters"),
        (lambda *_: None, "odd", "returned None"),
        (lambda classes: Mine(classes), "odd", "called with (3, 64, 1), it raised TypeError"),
        (lambda *_: 1 / 0, "odd", "it raised ZeroDivisionError: division by zero"),
        (
            lambda *_: nn.Sequential(nn.Flatten(), nn.LazyLinear(3)),
            "odd",
            "has layers of unknown size",
        ),
        (nn.Linear(64, 10), "Linear", "does not accept images of shape (1, 8, 8)"),
    ],
)
def test_an_unusable_network_is_refused_in_one_line(network, given, problem):
    register_network("odd", network)
    with refused("network", given=given, problem=re.compile(re.escape(problem))):
        make_first("odd")
    with pytest.raises(UserError) as caught:
        make_first("odd")
    assert "\n" not in str(caught.value)


def test_only_a_module_or_a_function_can_be_registered():
    with refused("network", given=5, allowed="a module, or a function that returns one"):
        register_network("odd", 5)


def test_images_of_another_shape_are_refused():
    register_network("mine", Mine())
    problem = re.compile(re.escape("does not accept images of shape (3, 8, 8)"))
    with refused("network", given="Mine", problem=problem):
        make_first("mine", shape=(3, 8, 8))


def test_a_vision_transformer_names_the_largest_image():
    problem = (
        "does not accept images of shape (3, 64, 64): "
        "256 patches of 4 x 4 pixels, where at most 64 are allowed"
    )
    with refused("network", given="VisionTransformer", problem=problem):
        make_first("vit", shape=(3, 64, 64), width=8)


class Dropping(Mine):
    def __init__(self, classes=7):
        super().__init__(classes)
        self.body.append(nn.Dropout(0.5))


@pytest.mark.slow
def test_dropout_depends_on_the_seed_and_resumes_exactly(tmp_path):
    register_network("dropping", Dropping())
    config = lord.compose("er", {"epochs": 1, "network": "dropping", "threads": 1})
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, again = lord.run(config), lord.run(config)
    assert torch.equal(torch.get_rng_state(), before)
    assert first.matrices == again.matrices

    module = Dropping()

    def train(pauses):
        learner = Learner(network=module, epochs=2, buffer=64, method="er")
        images, labels = digits("0", "1")
        while True:
            torch.rand(3)  # other code draws numbers too
            left = iter(range(pauses))

            def pause(left=left):
                if next(left, None) is None:
                    raise KeyboardInterrupt

            try:
                learner.learn(images, labels, key="a", pause=pause)
            except KeyboardInterrupt:
                learner.save(tmp_path / "state")
                learner = Learner.load(tmp_path / "state")
            else:
                return learner.method.student.state_dict()

    whole, parted = train(99), train(5)
    assert all(torch.equal(whole[name], parted[name]) for name in whole)


def test_a_module_is_copied_when_it_is_passed():
    module = Mine()
    learner = Learner(network=module, epochs=1, method="er")
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    learner.learn(*digits("0", "1"))
    assert learner.method.student.body[0].weight.abs().min() > 0
    one = Mine(10)
    before = one.body[0].weight.detach().clone()
    register_network("one", lambda *_: one)
    lord.run(lord.compose("er", {"epochs": 1, "network": "one", "threads": 1, "subset": 0.1}))
    assert torch.equal(one.body[0].weight, before)
