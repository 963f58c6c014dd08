"""Every family of networks: what holds for the ResNet holds for them."""

import copy

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
BY_PLACE = ("convnext", "vit")
"""Normalised over channels: fewer channels are other statistics."""
GROUPS = {
    "mlp": 2,
    "vgg": 7,
    "bottleneck": 15,
    "squeeze": 21,
    "mobilenet": 10,
    "densenet": 12,
    "convnext": 6,
    "vit": 7,
}
"""Independent groups of each at its default shape."""


def made(name, width=16):
    network = initialised(
        lambda: build_network(NetworkConfig(network=name, width=width), classes=10, channels=3), 0
    )
    with torch.no_grad():  # statistics and affine parameters as if trained
        source = torch.Generator().manual_seed(1)
        for tensor in tensors_of(network).values():
            if tensor.dim() == 1:
                tensor += 0.2 * torch.rand(tensor.shape, generator=source)
    return network


KNOWN = {name: (made(name), trace(made(name), IMAGES)) for name in GROUPS}
every_family = pytest.mark.parametrize("name", GROUPS)


def test_every_network_but_the_protocols_is_here():
    assert set(GROUPS) == set(NETWORKS) - {"resnet18", "cnn"}


@every_family
def test_its_groups_are_found(name):
    network, channels = KNOWN[name]
    assert len(channels.groups) == GROUPS[name]
    covered = {tensor for tensor, axes in channels.axes.items() if axes}
    left = {n for n, p in network.named_parameters()} - covered
    assert left <= {"head.bias"}, left


@settings(max_examples=4, deadline=None)
@given(st.data())
@every_family
def test_a_random_selection_narrows_runs_and_equals_the_full_network_masked(name, data):
    network, channels = KNOWN[name]
    counts = [data.draw(st.integers(1, group.size)) for group in channels.groups]
    source = torch.Generator().manual_seed(data.draw(st.integers(0, 99)))
    orders = [
        torch.randperm(g.size, generator=source)[:kept]
        for g, kept in zip(channels.groups, counts, strict=True)
    ]
    narrow = assemble(skeleton_of(network), channels.take(tensors_of(network), orders))
    out = narrow.eval()(IMAGES)
    assert sum(p.numel() for p in narrow.parameters()) == channels.parameters(counts)
    if name in BY_PLACE:
        assert out.isfinite().all()
        return
    masked = copy.deepcopy(network)
    with torch.no_grad():  # zero what reads a dropped channel
        for index, group in enumerate(channels.groups):
            for reader in group.readers:
                axis, weight = channels.axes[reader][1], tensors_of(masked)[reader]
                places, own = axis.owned(index, channels.full)
                weight[:, places[~torch.isin(own, orders[index])]] = 0
    torch.testing.assert_close(out, masked.eval()(IMAGES), atol=1e-4, rtol=1e-4)


@settings(max_examples=3, deadline=None)
@given(st.integers(0, 99))
@every_family
def test_reordering_channels_keeps_the_function(name, seed):
    network, channels = KNOWN[name]
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
def test_it_narrows_trains_grows_and_goes_back_with_nothing_lost(name):
    network, channels = KNOWN[name]
    elastic = Elastic(copy.deepcopy(network), channels)
    before = {n: t.clone() for n, t in elastic.full.items()}
    small = [max(group.size // 2, 1) for group in channels.groups]
    optimizer = trained(elastic.resize(small))
    learnt = {n: t.detach().clone() for n, t in tensors_of(elastic.module).items()}
    momenta = {
        n: optimizer.state[p]["momentum_buffer"].clone()
        for n, p in elastic.module.named_parameters()
    }
    large = elastic.resize(channels.full, optimizer)
    for n, tensor in tensors_of(large).items():
        assert torch.equal(channels.take({n: tensor, **large.state_dict()}, small)[n], learnt[n]), n
        inside = torch.zeros(tensor.shape)
        inside[elastic._grid(n, small, channels.full)] = 1
        assert torch.equal(tensor[inside == 0], before[n][inside == 0]), n
    for n, parameter in large.named_parameters():
        momentum = optimizer.state[parameter]["momentum_buffer"]
        assert momentum.shape == parameter.shape
        assert momentum.abs().sum().item() == pytest.approx(momenta[n].abs().sum().item(), rel=1e-3)
    trained(large)


@pytest.mark.parametrize("name", [name for name in GROUPS if name not in BY_PLACE])
def test_function_preserving_growth_keeps_the_logits(name):
    network, channels = KNOWN[name]
    elastic = Elastic(copy.deepcopy(network), channels)
    small = elastic.resize([max(group.size // 2, 1) for group in channels.groups])
    wanted = small.eval()(IMAGES)
    large = elastic.resize(channels.full, preserve=True)
    torch.testing.assert_close(large.eval()(IMAGES), wanted, atol=1e-4, rtol=1e-4)


@every_family
def test_flops_of_the_map_are_those_of_the_network(name):
    network, channels = KNOWN[name]
    counts = [max(group.size // 2, 1) for group in channels.groups]
    narrow = assemble(skeleton_of(network), channels.take(tensors_of(network), counts))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        narrow.eval()(IMAGES)
    own = counter.get_flop_counts()["Global"]
    attention = sum(v for op, v in own.items() if "attention" in str(op) or "bmm" in str(op))
    assert len(IMAGES) * channels.flops(counts) == counter.get_total_flops() - attention
