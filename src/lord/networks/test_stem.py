import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from lord.config import build
from lord.conftest import refused
from lord.networks import NetworkConfig, build_network, initialised
from lord.networks.stem import frequencies


def network(name, stem, width=16, channels=3):
    config = NetworkConfig(network=name, width=width, stem=stem)
    return initialised(lambda: build_network(config, classes=2, channels=channels), seed=0)


@given(st.lists(st.integers(1, 5), min_size=3, max_size=3))
def test_frequencies_are_an_orthonormal_basis_that_starts_with_the_mean(shape):
    filters = frequencies(*shape).flatten(1)
    assert_close(filters @ filters.T, torch.eye(len(filters)), atol=1e-5, rtol=0)
    assert_close(filters[0], filters.new_full((len(filters),), len(filters) ** -0.5))


def test_lower_frequencies_come_first():
    changes = frequencies(1, 4, 4).diff(dim=3).square().sum((1, 2, 3))
    changes += frequencies(1, 4, 4).diff(dim=2).square().sum((1, 2, 3))
    assert changes[:3].max() < changes[3:].min()


@pytest.mark.parametrize("name", ["resnet18", "resnet8", "cnn", "vgg", "vit"])
def test_a_stem_of_frequencies_changes_the_first_convolution_only(name):
    random, dct = (dict(network(name, stem).named_parameters()) for stem in ("random", "dct"))
    changed = [n for n, weight in dct.items() if not torch.equal(weight, random[n])]
    assert len(changed) == 1
    (first,) = changed
    filters = dct[first].flatten(1)
    assert_close(filters @ filters.T, torch.eye(len(filters)) / 3)  # so they measure other things
    assert_close(filters.norm(), random[first].norm(), atol=0, rtol=0.1)


def test_filters_beyond_the_values_of_a_window_stay_random():
    random, dct = (network("resnet18", stem, 16, channels=1).stem for stem in ("random", "dct"))
    assert torch.equal(dct.weight[9:], random.weight[9:])
    assert not torch.isclose(dct.weight[:9], random.weight[:9]).all((1, 2, 3)).any()


def test_a_network_without_a_first_convolution_has_no_stem_of_frequencies():
    with refused("network", given="MLP", problem="has no first convolution that reads the images"):
        network("mlp", "dct")
    with refused("stem", given="cosine", allowed="one of random, dct"):
        build(NetworkConfig, {"stem": "cosine"})
