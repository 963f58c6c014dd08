"""Networks that are not ours, and what is said of those that cannot be taken."""

import importlib.util

import pytest
import torch
from torch import nn

import lord
from lord.channels import trace
from lord.config import UserError, build
from lord.learner import Learner
from lord.networks import NetworkConfig, build_network, first_network, register_network
from lord.networks.build import NETWORKS
from lord.networks.conftest import digits


class Mine(nn.Module):
    """A classifier as somebody else has it, with a fixed number of classes."""

    def __init__(self, classes=7):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(),
            nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
        )  # fmt: skip
        self.out = nn.Linear(16, classes)

    def forward(self, x):
        return self.out(self.body(x).mean((2, 3)))


def test_a_learner_takes_a_module_keeps_its_weights_and_extends_its_head(tmp_path):
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
    back, _ = Learner.load(tmp_path / "state")
    images = digits("0", "1", "2")[0]
    assert back.predict(images) == learner.predict(images)


def test_a_state_of_a_network_nobody_registered_is_refused_by_its_name(tmp_path, monkeypatch):
    learner = Learner(network=Mine(), epochs=1, method="er")
    learner.learn(*digits("0", "1"))
    learner.save(tmp_path / "state")
    monkeypatch.setattr("lord.networks.build.NETWORKS", {"cnn": NETWORKS["cnn"]})
    name = learner.config.network.network
    with pytest.raises(UserError, match=f"unknown network '{name}'"):
        Learner.load(tmp_path / "state")
    back, _ = Learner.load(tmp_path / "state", network=Mine())  # whatever its weights
    images = digits("0", "1")[0]
    assert back.predict(images) == learner.predict(images)
    with pytest.raises(UserError, match="is not a learner's state: "):
        Learner.load(tmp_path / "state", network=nn.Linear(64, 2))
    with pytest.raises(UserError, match="network: expected str, got 5"):
        Learner.load(tmp_path / "state", network=5)


def test_lord_grows_a_module_of_ones_own():
    learner = Learner(network=Mine(), epochs=1, buffer=64)
    levels = [learner.learn(*digits(*pair)).level for pair in (("0", "1"), ("2", "3"))]
    assert levels[0] is not None
    assert learner.method.elastic.counts[0] < 8


def test_a_run_takes_a_registered_function(tmp_path):
    register_network("mine", lambda classes, width, channels: Mine(classes))
    config = lord.compose("er", {"epochs": 1, "network": "mine"}, preset="digits")
    assert len(lord.run(config, tmp_path / "run").matrices.class_il) == 5
    assert lord.load_model(tmp_path / "run").network.out.out_features == 10


@pytest.mark.parametrize("name", ["resnet18", "my:net", "a net", ""])
def test_a_name_that_is_taken_or_odd_is_refused(name):
    with pytest.raises(UserError, match="its name must be new and plain"):
        register_network(name, Mine())


class Doubling(Mine):
    def forward(self, x):
        return super().forward(x).repeat(1, 2)


class Heads(Mine):
    def forward(self, x):
        return [super().forward(x)]


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (Doubling, r"Doubling: expected 2 x 3 logits of 2 images, got \(2, 6\)"),
        (Heads, "Heads: expected 2 x 3 logits of 2 images, got list"),
        (lambda: nn.Conv2d(1, 3, 3), "Conv2d: expected a linear layer"),
    ],
)
def test_a_module_that_is_no_classifier_is_refused_with_the_reason(made, said):
    register_network("odd", made())
    with pytest.raises(UserError, match=said):
        first_network(NetworkConfig(network="odd"), classes=3, shape=(1, 8, 8), seed=0)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (5, "network 'odd': expected a module or a function, got 5"),
        (lambda *_: None, "network 'odd': expected its function to return a module, got None"),
        (lambda classes: Mine(classes), r"cannot be made, called with \(3, 64, 1\): TypeError"),
        (lambda *_: 1 / 0, "ZeroDivisionError: division by zero"),
        (nn.Linear(64, 10), r"Linear does not take images of \(1, 8, 8\)"),
    ],
)
def test_what_makes_no_network_is_refused_in_one_line(made, said):
    def use():
        name = register_network("odd", made)
        first_network(NetworkConfig(network=name), classes=3, shape=(1, 8, 8), seed=0)

    with pytest.raises(UserError, match=said) as error:
        use()
    assert "\n" not in str(error.value)


def test_images_a_network_does_not_take_are_refused():
    register_network("mine", Mine())
    with pytest.raises(UserError, match=r"Mine does not take images of \(3, 8, 8\)"):
        first_network(NetworkConfig(network="mine"), classes=3, shape=(3, 8, 8), seed=0)


def test_a_transformer_says_how_large_images_may_be():
    said = r"does not take images of \(3, 64, 64\): at most 64 patches of 4 x 4 pixels, got 256"
    with pytest.raises(UserError, match=said):
        first_network(NetworkConfig(network="vit", width=8), classes=2, shape=(3, 64, 64), seed=0)


@pytest.mark.parametrize("library", ["torchvision", "timm"])
def test_a_library_that_is_not_there_is_named(library):
    try:
        importlib.import_module(library)
    except Exception:
        with pytest.raises(
            UserError, match=rf"needs {library}: pip install 'lord-cl\[{library}\]'"
        ):
            build(NetworkConfig, {"network": f"{library}:resnet18"})
    else:
        pytest.skip(f"{library} is installed")


def test_a_library_nobody_knows_is_refused():
    with pytest.raises(UserError, match="network's library 'keras'; known: torchvision"):
        build(NetworkConfig, {"network": "keras:resnet18"})


@pytest.mark.parametrize(
    "name",
    [
        *("torchvision:resnet18", "torchvision:vgg11_bn", "torchvision:mobilenet_v2"),
        *("torchvision:densenet121", "torchvision:convnext_tiny"),
        *("timm:resnet18d", "timm:vit_tiny_patch16_224", "timm:convnext_atto"),
    ],
)
def test_a_librarys_model_is_mapped(name):
    try:
        importlib.import_module(name.partition(":")[0])
    except Exception as error:
        pytest.skip(f"not installed beside this torch: {error}")
    side = 224 if "vit" in name else 64
    network = build_network(NetworkConfig(network=name), classes=4, channels=3)
    channels = trace(network, torch.randn(2, 3, side, side))  # proves its map on the network
    half = [(group.size + 1) // 2 for group in channels.groups]
    assert channels.flops(half) < 0.5 * channels.flops(channels.full)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "torchvision:resnext50_32x4d",
            "'layer1.0.conv2': of grouped",
        ),
        ("torchvision:vit_b_16", "MultiheadAttention is not known"),
        ("torchvision:shufflenet_v2_x0_5", "cannot map ShuffleNetV2"),
        ("torchvision:swin_t", "places for channels"),
        ("timm:ghostnet_100", "their order matters elsewhere"),
    ],
)
def test_a_librarys_model_that_cannot_be_mapped_is_refused(name, said):
    try:
        importlib.import_module(name.partition(":")[0])
    except Exception as error:
        pytest.skip(f"not installed beside this torch: {error}")
    network = build_network(NetworkConfig(network=name), classes=4, channels=3)
    side = 224 if "vit" in name else 64
    with pytest.raises(UserError, match=said):
        trace(network, torch.randn(2, 3, side, side))


class Dropping(Mine):
    def __init__(self, classes=7):
        super().__init__(classes)
        self.body.append(nn.Dropout(0.5))


def test_dropout_is_decided_by_the_seed_and_goes_on_where_it_was(tmp_path):
    register_network("dropping", Dropping())
    config = lord.compose("er", {"epochs": 1, "network": "dropping", "threads": 1})
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, again = lord.run(config), lord.run(config)
    assert torch.equal(torch.get_rng_state(), before)
    assert first.matrices == again.matrices

    module = Dropping()

    def learnt(pauses):
        learner = Learner(network=module, epochs=2, buffer=64, method="er")
        images, labels = digits("0", "1")
        while True:
            torch.rand(3)  # as others draw
            left = iter(range(pauses))

            def pause(left=left):
                if next(left, None) is None:
                    raise KeyboardInterrupt

            try:
                learner.learn(images, labels, key="a", pause=pause)
            except KeyboardInterrupt:
                learner.save(tmp_path / "state")
                learner, _ = Learner.load(tmp_path / "state")
            else:
                return learner.method.student.state_dict()

    whole, parted = learnt(99), learnt(5)
    assert all(torch.equal(whole[name], parted[name]) for name in whole)


class Growing(Mine):
    def forward(self, x):
        return (super().forward(x), x) if self.training else super().forward(x)


class Frozen(Mine):
    def __init__(self, classes=7):
        super().__init__(classes)
        self.requires_grad_(False)


def test_what_cannot_be_trained_is_refused():
    for made, said in (
        (lambda *_: Growing(3), "expected 2 x 3 logits of 2 images, got tuple in training"),
        (lambda *_: Frozen(3), "none of its parameters may be trained"),
        (
            lambda *_: nn.Sequential(nn.Flatten(), nn.LazyLinear(3)),
            "has layers of no known size yet: run it once before",
        ),
    ):
        register_network("odd", made)
        with pytest.raises(UserError, match=said):
            first_network(NetworkConfig(network="odd"), classes=3, shape=(1, 8, 8), seed=0)


def test_a_module_is_taken_as_it_is_and_left_as_it_is():
    module = Mine()
    learner = Learner(network=module, epochs=1, method="er")
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    learner.learn(*digits("0", "1"))
    assert learner.method.student.body[0].weight.abs().min() > 0
    one = Mine(10)
    register_network("one", lambda *_: one)
    lord.run(lord.compose("er", {"epochs": 1, "network": "one", "threads": 1, "subset": 0.1}))
    assert not one.body[0].weight.grad
