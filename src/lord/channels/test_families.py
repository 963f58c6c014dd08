"""Mapping, narrowing, reordering and growing for every family of networks."""

import copy
from functools import cache

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from lord.channels import Elastic, assemble, permute, skeleton_of, tensors_of, trace
from lord.networks import NETWORKS, NetworkConfig, build_network, initialised

IMAGES = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 1, 2, 3])
LAYER_NORM = ("convnext", "vit")
"""These normalise over channels, so fewer channels give other statistics."""
GROUPS = {
    "resnet8": 6,
    "mlp": 2,
    "vgg": 7,
    "bottleneck": 15,
    "squeeze": 21,
    "mobilenet": 10,
    "densenet": 12,
    "convnext": 6,
    "vit": 7,
}
"""Number of groups in each."""


def make(name, width=16):
    network = initialised(
        lambda: build_network(NetworkConfig(network=name, width=width), classes=10, channels=3), 0
    )
    with torch.no_grad():  # statistics and affine parameters as if trained
        source = torch.Generator().manual_seed(1)
        for tensor in tensors_of(network).values():
            if tensor.dim() == 1:
                tensor += 0.2 * torch.rand(tensor.shape, generator=source)
    return network


@cache
def known(name):
    """Return a network of a family, and its channel map."""
    return make(name), trace(make(name), IMAGES)


every_family = pytest.mark.parametrize("name", GROUPS)


def test_every_family_is_listed():
    assert set(GROUPS) == set(NETWORKS) - {"resnet18", "cnn"}


@every_family
def test_all_parameters_but_the_heads_bias_belong_to_groups(name):
    network, channels = known(name)
    assert len(channels.groups) == GROUPS[name]
    mapped = {tensor for tensor, axes in channels.axes.items() if axes}
    assert {name for name, _ in network.named_parameters()} - mapped <= {"head.bias"}


@settings(max_examples=4, deadline=None)
@given(st.data())
@every_family
def test_a_random_selection_equals_the_full_network_with_the_others_masked(name, data):
    network, channels = known(name)
    counts = [data.draw(st.integers(1, group.size)) for group in channels.groups]
    source = torch.Generator().manual_seed(data.draw(st.integers(0, 99)))
    orders = [
        torch.randperm(g.size, generator=source)[:kept]
        for g, kept in zip(channels.groups, counts, strict=True)
    ]
    narrow = assemble(skeleton_of(network), channels.take(tensors_of(network), orders))
    out = narrow.eval()(IMAGES)
    assert sum(p.numel() for p in narrow.parameters()) == channels.parameters(counts)
    if name in LAYER_NORM:
        assert out.isfinite().all()
        return
    masked = copy.deepcopy(network)
    with torch.no_grad():  # zero the weights that read a dropped channel
        for index, group in enumerate(channels.groups):
            for reader in group.readers:
                axis, weight = channels.axes[reader][1], tensors_of(masked)[reader]
                positions, read = axis.positions_of(index, channels.full)
                weight[:, positions[~torch.isin(read, orders[index])]] = 0
    torch.testing.assert_close(out, masked.eval()(IMAGES), atol=1e-4, rtol=1e-4)


@settings(max_examples=3, deadline=None)
@given(st.integers(0, 99))
@every_family
def test_reordering_channels_keeps_the_function(name, seed):
    network, channels = known(name)
    twin, source = copy.deepcopy(network), torch.Generator().manual_seed(seed)
    orders = {i: torch.randperm(g.size, generator=source) for i, g in enumerate(channels.groups)}
    permute(channels, twin, orders)
    torch.testing.assert_close(twin.eval()(IMAGES), network.eval()(IMAGES), atol=1e-4, rtol=1e-4)


def trained(network):
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
    for _ in range(2):
        optimizer.zero_grad()
        F.cross_entropy(network.train()(IMAGES), LABELS).backward()
        optimizer.step()
    return optimizer


@every_family
def test_narrowing_training_and_growing_keep_all_weights(name):
    network, channels = known(name)
    elastic = Elastic(copy.deepcopy(network), channels)
    before = {n: t.clone() for n, t in elastic.full.items()}
    small = [max(group.size // 2, 1) for group in channels.groups]
    optimizer = trained(elastic.resize(small))
    learned = {n: t.detach().clone() for n, t in tensors_of(elastic.module).items()}
    momenta = {
        n: optimizer.state[p]["momentum_buffer"].clone()
        for n, p in elastic.module.named_parameters()
    }
    large = elastic.resize(channels.full, optimizer)
    for n, tensor in tensors_of(large).items():
        assert torch.equal(
            channels.take({n: tensor, **large.state_dict()}, small)[n], learned[n]
        ), n
        inside = torch.zeros(tensor.shape)
        inside[elastic._index(n, small, channels.full)] = 1
        assert torch.equal(tensor[inside == 0], before[n][inside == 0]), n
    for n, parameter in large.named_parameters():
        momentum = optimizer.state[parameter]["momentum_buffer"]
        assert momentum.shape == parameter.shape
        assert momentum.abs().sum().item() == pytest.approx(momenta[n].abs().sum().item(), rel=1e-3)
    trained(large)


@pytest.mark.parametrize("name", [name for name in GROUPS if name not in LAYER_NORM])
def test_function_preserving_growth_keeps_the_logits(name):
    network, channels = known(name)
    elastic = Elastic(copy.deepcopy(network), channels)
    small = elastic.resize([max(group.size // 2, 1) for group in channels.groups])
    wanted = small.eval()(IMAGES)
    large = elastic.resize(channels.full, preserve=True)
    torch.testing.assert_close(large.eval()(IMAGES), wanted, atol=1e-4, rtol=1e-4)


@every_family
def test_flops_of_the_map_equal_those_of_the_network_without_attention(name):
    network, channels = known(name)
    counts = [max(group.size // 2, 1) for group in channels.groups]
    narrow = assemble(skeleton_of(network), channels.take(tensors_of(network), counts))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        narrow.eval()(IMAGES)
    flops = counter.get_flop_counts()["Global"]
    attention = sum(v for op, v in flops.items() if "attention" in str(op) or "bmm" in str(op))
    assert len(IMAGES) * channels.flops(counts) == counter.get_total_flops() - attention
