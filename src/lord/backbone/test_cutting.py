"""Cutting networks in a frozen and a trained part."""

import copy
import re

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lord.backbone import BackboneConfig, cut_network, cuts
from lord.channels import Elastic, trace
from lord.config import build
from lord.conftest import refused
from lord.networks import OUR_NETWORKS, NetworkConfig, ResNet18, build_network
from lord.networks.classifier import with_outputs
from lord.networks.efficientnet_lite import EfficientNetLite

LITE = EfficientNetLite(5, width=0.25).eval()
IMAGES = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def _randomise(network):
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
                module.bias.normal_()


_randomise(LITE)


@torch.no_grad()
def rejoined(network, cut, images=IMAGES):
    """Return both parts of a cut network, after checking that they give its logits."""
    below, above = cut_network(network, cut, images)
    torch.testing.assert_close(above(below(images)), network.eval()(images))
    return below, above


@pytest.mark.parametrize("cut", ["stem", "stem.conv", "blocks.1.expand", "blocks.10", "head"])
def test_both_parts_give_the_networks_logits(cut):
    rejoined(LITE, cut)


@pytest.mark.parametrize("name", [name for name in OUR_NETWORKS if name not in ("mlp", "vit")])
def test_each_convolutional_network_here_can_be_cut(name):
    network = build_network(NetworkConfig(network=name, width=4), classes=3, channels=3).eval()
    _randomise(network)
    listed = cuts(network, IMAGES)
    shares = [share for _, share, _ in listed]
    assert shares == sorted(shares)
    assert 0 < shares[0] <= shares[-1] < 1
    for cut, _, values in listed[:: len(listed) // 3]:
        below, _ = rejoined(network, cut)
        assert below(IMAGES)[0].numel() == values
    below, _ = rejoined(network, None)
    assert below(IMAGES).dim() == 2


def test_a_share_cuts_after_the_last_layer_that_it_covers():
    listed = cuts(LITE, IMAGES)
    below, _ = rejoined(LITE, "0.6")
    covered = [name for name, share, _ in listed if share <= 0.6]
    named, _ = rejoined(LITE, covered[-1])
    assert torch.equal(below(IMAGES), named(IMAGES))


def test_shares_are_those_of_the_published_network():
    network = EfficientNetLite()
    listed = {name: rest for name, *rest in cuts(network, torch.zeros(1, 3, 96, 96))}
    assert listed["blocks.10"] == [pytest.approx(0.62, abs=0.005), 4032]
    assert listed["blocks.13"] == [pytest.approx(0.80, abs=0.005), 1728]


def test_the_part_above_trains_as_any_network():
    below, above = rejoined(LITE, "blocks.10")
    latents = below(IMAGES)
    assert not latents.requires_grad
    above = with_outputs(copy.deepcopy(above), 7)
    norms = [m for m in above.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(norms) == 16
    before = norms[0].running_mean.clone()
    above.train()(latents).sum().backward()
    assert all(p.grad is not None for p in above.parameters())
    assert not torch.equal(norms[0].running_mean, before)
    assert not any(m.training for m in below.modules())


def test_the_part_above_can_grow():
    _, above = rejoined(ResNet18(3, width=4), "stages.1.1")
    latents = torch.randn(2, 8, 16, 16)
    channels = trace(above, latents)
    narrow = Elastic(above, channels).resize([(n.size + 1) // 2 for n in channels.groups])
    assert narrow(latents).shape == (2, 3)


def test_latents_are_not_overwritten_by_layers_that_work_in_place():
    network = ResNet18(3, width=4).eval()
    below, above = rejoined(network, "bn")
    latents = below(IMAGES)
    kept = latents.clone()
    above(latents)
    assert torch.equal(latents, kept)


def test_the_parts_are_copies():
    network = ResNet18(3, width=4)
    below, above = cut_network(network, "stages.0.0", IMAGES)
    with torch.no_grad():
        for part in (below, above):
            for parameter in part.parameters():
                parameter.zero_()
    assert network.training
    assert all(p.requires_grad for p in network.parameters())
    assert network.stem.weight.abs().sum() > 0


class Gate(nn.Module):
    """A layer that cannot be traced."""

    def forward(self, x):
        return x if x.sum() > 0 else -x


def test_a_layer_that_cannot_be_traced_stays_one_layer():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), Gate(), nn.Flatten(), nn.Linear(3600, 2)).eval()
    assert [name for name, _, _ in cuts(network, IMAGES)] == ["0", "1", "2"]
    rejoined(network, "0")
    rejoined(network, "1")


class Branching(nn.Module):
    """A network that cannot be traced, with a classifier that is used twice."""

    def __init__(self):
        super().__init__()
        self.body, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)

    def forward(self, x, scale=None):
        x = self.body(x).mean((2, 3)) * (1 if scale is None else scale)
        if x.sum() > 1e9:  # its value is not known while it is traced
            x = -x
        return F.linear(x, self.fc.weight, self.fc.bias) * 0 + self.fc(x)


def test_a_network_that_cannot_be_traced_is_cut_at_its_classifier_only():
    network = Branching().eval()
    below, above = cut_network(network, None, IMAGES)
    assert torch.equal(above(below(IMAGES)), network(IMAGES))
    assert below(IMAGES).shape == (2, 4)
    with refused("cut", problem=re.compile("Branching cannot be traced"), hint="leave `cut` out"):
        cut_network(network, "body", IMAGES)


def test_a_network_of_features_has_nothing_above():
    network = nn.Sequential(nn.Flatten(), nn.Linear(3072, 6), nn.LayerNorm(6)).eval()
    below, above = cut_network(network, None, IMAGES)
    assert torch.equal(above(below(IMAGES)), network(IMAGES))
    assert below(IMAGES).shape == (2, 6)
    with refused("backbone", allowed="N x features, or the logits of a linear layer"):
        cut_network(nn.Conv2d(3, 4, 3), None, IMAGES)


@pytest.mark.parametrize(
    ("cut", "parts"),
    [
        ("blocks.2.project", {"hint": "the nearest cuts are 'blocks.1' and 'blocks.2'"}),
        ("blocks.99", {"problem": "is not a layer of the backbone"}),
        ("block.3", {"hint": "did you mean 'blocks.3'?"}),
        ("classifier", {"problem": "is not below the classifier"}),
        ("0.0001", {"hint": re.compile("the first cut, 'stem', has 0.1")}),
    ],
)
def test_a_cut_that_is_not_possible_names_some_that_are(cut, parts):
    with refused("cut", given=cut, **parts):
        cut_network(LITE, cut, IMAGES)


def test_a_share_may_be_a_number_as_yaml_reads_it():
    named = {"backbone": "efficientnet-lite0"}
    assert BackboneConfig(**named, cut=0.6) == BackboneConfig(**named, cut="0.6")
    with refused("cut", given="1.5"):
        BackboneConfig(**named, cut=1.5)


def test_settings_of_a_backbone_need_one():
    for name, value in (("weights", "a.pth"), ("backbone_size", 64), ("cut", "0.5")):
        with refused(name, given=value, hint="set `backbone`"):
            build(BackboneConfig, {name: value})
    with refused("backbone_size", given=8):
        build(BackboneConfig, {"backbone": "efficientnet-lite0", "backbone_size": 8})
    for cut in ("1.5", "0.0", "nan", "-0.1"):
        with refused("cut", given=cut):
            build(BackboneConfig, {"backbone": "efficientnet-lite0", "cut": cut})
