"""Group norm, grouped convolutions and attention: whole groups and heads are kept or dropped."""

import copy
import re
from functools import cache

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from lord.channels import Elastic, assemble, permute, skeleton_of, tensors_of, trace
from lord.channels.random_networks import BLOCKS, MultiHead, RandomNetwork, Separate
from lord.conftest import refused

IMAGES = torch.randn(3, 2, 8, 8, generator=torch.Generator().manual_seed(0))
every_block = pytest.mark.parametrize("block", BLOCKS)
some_networks = given(st.integers(0, 8), st.data())


@cache
def traced(seed):
    network = RandomNetwork(seed)
    return network, trace(network, IMAGES)


class OneHead(MultiHead):
    def __init__(self, width, groups):
        super().__init__(width, groups)
        self.stem = nn.Conv2d(2, width, 2, 2)

    def forward(self, x):
        return super().forward(self.stem(x))


class Mixed(Separate):
    """Attention without a number of heads among its attributes."""

    def __init__(self, width, groups):
        super().__init__(width, groups)
        del self.heads

    def __getattr__(self, name):
        return self.to_q.out_features // 4 if name == "heads" else super().__getattr__(name)


def close(one, other):
    torch.testing.assert_close(one, other, atol=2e-5, rtol=1e-4)


def drawn_orders(channels, data):
    source = torch.Generator().manual_seed(data.draw(st.integers(0, 99)))
    return [torch.randperm(group.size, generator=source) for group in channels.groups]


@settings(max_examples=6, deadline=None)
@some_networks
def test_any_units_compute_what_they_do_in_the_full_network(seed, data):
    network, channels = traced(seed)
    counts = [data.draw(st.integers(1, group.size)) for group in channels.groups]
    kept = [o[:n] for o, n in zip(drawn_orders(channels, data), counts, strict=True)]
    narrow = assemble(skeleton_of(network), channels.take(tensors_of(network), kept))
    masked = copy.deepcopy(network)
    with torch.no_grad():  # zero the weights that read a dropped channel
        for index, group in enumerate(channels.groups):
            for reader in group.readers:
                positions, read = channels.axes[reader][1].positions_of(index, channels.full)
                tensors_of(masked)[reader][:, positions[~torch.isin(read, kept[index])]] = 0
    for mode in (False, True):
        close(narrow.train(mode)(IMAGES), masked.train(mode)(IMAGES))
    assert sum(p.numel() for p in narrow.parameters()) == channels.parameters(counts)


@settings(max_examples=4, deadline=None)
@some_networks
def test_reordering_units_keeps_the_function(seed, data):
    network, channels = traced(seed)
    twin = copy.deepcopy(network).eval()
    permute(channels, twin, dict(enumerate(drawn_orders(channels, data))))
    close(twin(IMAGES), network.eval()(IMAGES))


def trained(network, optimizer):
    for _ in range(2):
        optimizer.zero_grad()
        F.cross_entropy(network.train()(IMAGES), torch.tensor([0, 1, 2])).backward()
        optimizer.step()


@settings(max_examples=4, deadline=None)
@some_networks
def test_growth_keeps_the_function_and_the_optimizers_state(seed, data):
    network, channels = traced(seed)
    elastic = Elastic(copy.deepcopy(network), channels)
    small = [data.draw(st.integers(1, group.size)) for group in channels.groups]
    narrow = elastic.resize(small)
    optimizer = torch.optim.Adam(narrow.parameters(), 1e-3)
    trained(narrow, optimizer)
    wanted = narrow.eval()(IMAGES)
    before = {n: dict(optimizer.state[p]) for n, p in narrow.named_parameters()}
    large = elastic.resize(channels.full, optimizer, preserve=True)
    close(large.eval()(IMAGES), wanted)
    for name, parameter in large.named_parameters():
        for key in ("exp_avg", "exp_avg_sq"):
            grown, old = optimizer.state[parameter][key], before[name][key]
            assert torch.equal(channels.take({**large.state_dict(), name: grown}, small)[name], old)
            if key == "exp_avg":
                assert grown.count_nonzero() == old.count_nonzero()
    trained(large, optimizer)
    again = elastic.resize(small, optimizer)
    assert [p.shape for p in again.parameters()] == [p.shape for p in narrow.parameters()]
    trained(again, optimizer)


@every_block
def test_flops_of_the_map_are_those_of_all_weights(block):
    network = RandomNetwork(2, block)
    channels = trace(network, IMAGES)
    counts = [max(group.size - 1, 1) for group in channels.groups]
    narrow = assemble(skeleton_of(network), channels.take(tensors_of(network), counts))
    with FlopCounterMode(display=False) as counter:
        narrow.train()(IMAGES)
    flops = counter.get_flop_counts()["Global"]
    attention = sum(v for op, v in flops.items() if "attention" in str(op) or "bmm" in str(op))
    found = len(IMAGES) * channels.flops(counts)
    assert found == pytest.approx(counter.get_total_flops() - attention, rel=0.02)


def two_branches(*between):
    """Return a network that concatenates 6 and 2 channels before some layers."""

    class Concatenated(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Conv2d(2, 6, 1), nn.Conv2d(2, 2, 1)
            self.between = nn.Sequential(*between)
            self.head = nn.Linear(8, 2)

        def forward(self, x):
            x = self.between(torch.cat([self.a(x), self.b(x)], 1))
            return self.head(x.mean((2, 3)))

    return Concatenated()


@pytest.mark.parametrize(
    ("network", "problem", "change"),
    [
        (two_branches(nn.GroupNorm(2, 8)), "'between.0'.*num_groups", "one part of a concat"),
        (two_branches(nn.Conv2d(8, 8, 1, groups=2)), "'between.0'.*'groups'", "one part of a con"),
        (
            two_branches(
                nn.Conv2d(8, 6, 1), nn.GroupNorm(2, 6), nn.GroupNorm(3, 6), nn.Conv2d(6, 8, 1)
            ),
            "'between.2'.*cannot be separated",
            "divide each other",
        ),
        (
            nn.Sequential(OneHead(24, 1), nn.AvgPool2d(4), nn.Flatten(), nn.Linear(24, 2)),
            "'0.(attention|other)'.*cannot be separated",
            "several",
        ),
        (two_branches(nn.GroupNorm(2, 8, affine=False)), "'between.0'", "set 'affine=True'"),
        (two_branches(nn.InstanceNorm2d(8)), "'between.0'.*InstanceNorm2d", "replace it by one of"),
        (
            nn.Sequential(nn.Conv2d(2, 8, 1, groups=2), nn.Conv2d(8, 2, 8), nn.Flatten()),
            "'0'",
            "im",
        ),
        (nn.Sequential(RandomNetwork(0, Mixed)), "'0.blocks.0.to_q'", "'num_heads'"),
    ],
)
def test_what_cannot_be_mapped_is_refused_with_a_change(network, problem, change):
    with refused("network", problem=re.compile(problem), hint=re.compile(change)):
        trace(network, IMAGES)
