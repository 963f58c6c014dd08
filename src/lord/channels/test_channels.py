"""The channel map of the ResNet, and narrowing, reordering and growing by it."""

import re

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode

from lord.channels import (
    Elastic,
    assemble,
    batch_statistics,
    permute,
    skeleton_of,
    tensors_of,
    trace,
)
from lord.conftest import refused
from lord.networks import ResNet18, SmallCNN, to_channels_last

IMAGES = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def resnet(width=8):
    torch.manual_seed(0)
    network = to_channels_last(ResNet18(10, width))
    with torch.no_grad():  # statistics and affine parameters as if trained
        for name, tensor in tensors_of(network).items():
            if "bn" in name or "shortcut.1" in name:
                tensor.copy_(tensor + 0.2 * torch.rand(tensor.shape)) if tensor.dim() else None
    return network


NETWORK = resnet()
MAP = trace(NETWORK, IMAGES)


def test_the_resnet_has_four_stage_groups_and_eight_inner_groups():
    groups = MAP.groups
    assert len(groups) == 12
    stages = [i for i, group in enumerate(groups) if group.stage is None]
    assert [groups[i].size for i in stages] == [8, 16, 32, 64]
    assert groups[stages[0]].name == "stem"
    inner = [group.stage for group in groups if group.stage is not None]
    assert inner == [stage for stage in stages for _ in range(2)]
    assert all(len(g.readers) == 1 for g in groups if g.stage is not None)


def test_all_channels_but_those_of_images_and_logits_belong_to_groups():
    for name, shape in MAP.shapes.items():
        free = {"stem.weight": 1, "head.weight": 1, "head.bias": 1}.get(name, 0)
        flat = 0 if name.endswith("tracked") else min(len(shape), 2) - free
        assert len(MAP.axes.get(name, {})) == flat, name
        assert all(axis.ordered_group is not None for axis in MAP.axes.get(name, {}).values())


def test_tracing_does_not_change_mode_gradients_or_values():
    network = resnet()
    network.eval()
    network.bn.train()
    network.head.weight.requires_grad_(False)
    before = {name: t.clone() for name, t in tensors_of(network).items()}
    assert trace(network, IMAGES) == MAP
    assert network.bn.training
    assert not network.stages.training
    assert not network.head.weight.requires_grad
    assert all(torch.equal(t, before[name]) for name, t in tensors_of(network).items())


def test_channels_read_in_an_unsupported_way_are_refused_by_name():
    class Padded(nn.Module):  # the shortcut pads the channels with zeros
        def __init__(self):
            super().__init__()
            self.narrow, self.wide = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 8, 1)
            self.head = nn.Linear(8, 2)

        def forward(self, x):
            x = self.narrow(x)
            x = self.wide(x) + F.pad(x, (0, 0, 0, 0, 2, 2))
            return self.head(x.mean((2, 3)))

    with refused("network", problem=re.compile("cannot be resized")):
        trace(Padded(), IMAGES)

    class Raw(nn.Module):  # a convolution that the graph does not see
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 1)
            self.kernel = nn.Parameter(torch.randn(6, 4, 3, 3))
            self.head = nn.Linear(6, 2)

        def forward(self, x):
            return self.head(F.conv2d(self.conv(x), self.kernel).mean((2, 3)))

    with refused("network", problem=re.compile("cannot be resized")):
        trace(Raw(), IMAGES)


@settings(max_examples=10, deadline=None)
@given(st.data())
def test_a_random_selection_equals_the_full_network_with_the_other_channels_zeroed(data):
    counts = [data.draw(st.integers(1, group.size)) for group in MAP.groups]
    orders = [torch.randperm(g.size)[:kept] for g, kept in zip(MAP.groups, counts, strict=True)]
    narrow = assemble(skeleton_of(NETWORK), MAP.take(tensors_of(NETWORK), orders))
    masked = resnet()
    with torch.no_grad():  # zero the weights that read a dropped channel
        for index, group in enumerate(MAP.groups):
            dropped = torch.ones(group.size, dtype=torch.bool)
            dropped[orders[index]] = False
            for name in group.readers:
                tensors_of(masked)[name][:, dropped] = 0
    assert torch.allclose(narrow.eval()(IMAGES), masked.eval()(IMAGES), atol=1e-4)
    assert torch.allclose(narrow.train()(IMAGES), masked.train()(IMAGES), atol=1e-4)
    size = sum(p.numel() for p in narrow.parameters())
    assert size == MAP.parameters(counts)


def test_a_narrow_module_is_ordinary_and_contiguous():
    half = [group.size // 2 for group in MAP.groups]
    narrow = Elastic(resnet(), MAP).resize(half)
    assert type(narrow) is ResNet18
    assert narrow.stem.out_channels == 4
    assert narrow.stages[1][0].conv1.in_channels == 4
    assert narrow.bn.num_features == 4
    assert narrow.head.in_features == 32
    for parameter in narrow.parameters():
        assert parameter.is_leaf
        assert parameter.is_contiguous() or parameter.is_contiguous(
            memory_format=torch.channels_last
        )


def test_the_first_channels_are_views_of_the_weights():
    network = resnet()
    views = MAP.take(dict(network.named_parameters()), [g.size // 2 for g in MAP.groups])
    for name, view in views.items():
        assert view.untyped_storage().data_ptr() == (
            network.get_parameter(name).untyped_storage().data_ptr()
        )


def train(network, steps=2):
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(network(IMAGES), torch.tensor([0, 1, 2, 3])).backward()
        optimizer.step()
    return optimizer


@settings(max_examples=8, deadline=None)
@given(st.data())
def test_narrowing_training_writing_back_and_growing_leave_inactive_channels_untouched(data):
    elastic = Elastic(resnet(), MAP)
    before = {name: tensor.clone() for name, tensor in elastic.full.items()}
    small = [data.draw(st.integers(2, group.size)) for group in MAP.groups]
    optimizer = train(elastic.resize(small))
    trained = {name: t.clone() for name, t in tensors_of(elastic.module).items()}
    large = elastic.resize(MAP.full, optimizer)
    for name, tensor in tensors_of(large).items():
        live = MAP.take({name: torch.ones(MAP.shapes[name])}, MAP.full)[name].zero_()
        MAP.take({name: live}, small)[name].fill_(1)
        assert torch.equal(tensor[live == 0], before[name][live == 0]), name
        assert torch.equal(MAP.take({name: tensor}, small)[name], trained[name]), name


def test_optimizer_state_grows_too_and_is_zero_for_new_channels():
    elastic = Elastic(resnet(), MAP)
    half = [group.size // 2 for group in MAP.groups]
    optimizer = train(elastic.resize(half))
    kept = {n: optimizer.state[p]["momentum_buffer"] for n, p in elastic.module.named_parameters()}
    large = elastic.resize(MAP.full, optimizer)
    assert [id(p) for p in optimizer.param_groups[0]["params"]] == [
        id(p) for p in large.parameters()
    ]
    for name, parameter in large.named_parameters():
        momentum = optimizer.state[parameter]["momentum_buffer"]
        assert torch.equal(MAP.take({name: momentum}, half)[name], kept[name])
        assert momentum.abs().sum() == pytest.approx(kept[name].abs().sum().item(), rel=1e-4)


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.RMSprop])
def test_the_state_of_any_optimizer_is_kept(kind):
    elastic = Elastic(resnet(), MAP)
    network = elastic.resize([group.size // 2 for group in MAP.groups])
    optimizer = kind(network.parameters())
    for _ in range(2):
        network(IMAGES).sum().backward()
        optimizer.step()
        network = elastic.resize(MAP.full, optimizer)


def test_function_preserving_growth_keeps_the_logits_and_new_channels_learn():
    elastic = Elastic(resnet(), MAP)
    small = elastic.resize([group.size // 2 for group in MAP.groups])
    train(small)
    trained, evaluated = small(IMAGES), small.eval()(IMAGES)
    large = elastic.resize(MAP.full, preserve=True)
    assert torch.allclose(large.eval()(IMAGES), evaluated, atol=1e-5)
    assert torch.allclose(large.train()(IMAGES), trained, atol=1e-5)
    train(large, steps=3)
    assert large.head.weight[:, 32:].abs().max() > 0


def test_growth_as_in_the_paper_changes_the_logits():
    elastic = Elastic(resnet(), MAP)
    small = elastic.resize([group.size // 2 for group in MAP.groups])
    assert not torch.allclose(elastic.resize(MAP.full).eval()(IMAGES), small.eval()(IMAGES))


def test_reordering_a_narrow_module_keeps_the_function_of_the_full_network():
    elastic = Elastic(resnet(), MAP)
    wanted = elastic.module.eval()(IMAGES)
    half = elastic.resize([group.size // 2 for group in MAP.groups])
    orders = {i: torch.randperm(group.size // 2) for i, group in enumerate(MAP.groups)}
    before = half.eval()(IMAGES)
    elastic.permute(orders)
    assert torch.allclose(elastic.module.eval()(IMAGES), before, atol=1e-5)
    assert torch.allclose(elastic.resize(MAP.full).eval()(IMAGES), wanted, atol=1e-5)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 1000))
def test_permuting_groups_keeps_the_function_and_permutes_optimizer_state(seed):
    source = torch.Generator().manual_seed(seed)
    network, twin = resnet(), resnet()
    optimizer, plain = train(network), train(twin)
    orders = {i: torch.randperm(g.size, generator=source) for i, g in enumerate(MAP.groups)}
    before = network.eval()(IMAGES)
    permute(MAP, network, orders, optimizer)
    assert torch.allclose(network(IMAGES), before, atol=1e-5)
    for each, opt in ((network.train(), optimizer), (twin, plain)):
        opt.zero_grad()
        F.cross_entropy(each(IMAGES), torch.tensor([0, 1, 2, 3])).backward()
        opt.step()
    assert torch.allclose(network.eval()(IMAGES), twin.eval()(IMAGES), atol=1e-3)


def test_a_module_on_batch_statistics_has_no_running_statistics():
    network = resnet()
    weights = dict(network.named_parameters())
    before = {name: b.clone() for name, b in network.named_buffers()}
    probe = batch_statistics(skeleton_of(network))
    got = functional_call(probe, weights, (IMAGES,))
    assert all(torch.equal(b, before[name]) for name, b in network.named_buffers())
    assert not list(probe.buffers())
    assert torch.allclose(got, network.train()(IMAGES), atol=1e-5)


def test_the_small_cnn_has_four_groups():
    groups = trace(SmallCNN(10, 16), torch.zeros(2, 1, 8, 8)).groups
    assert [(group.size, group.stage) for group in groups] == [
        (16, None),
        (16, 0),
        (32, 3),
        (32, None),
    ]


@settings(deadline=None, max_examples=8)
@given(st.data())
def test_flops_of_the_map_equal_those_of_the_narrowed_module(data):
    counts = [data.draw(st.integers(1, group.size)) for group in MAP.groups]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        assemble(skeleton_of(NETWORK), MAP.take(tensors_of(NETWORK), counts))(IMAGES)
    assert len(IMAGES) * MAP.flops(counts) == counter.get_total_flops()


def test_at_full_width_module_and_full_state_share_memory():
    elastic = Elastic(resnet(), MAP)
    elastic.resize([group.size // 2 for group in MAP.groups])
    narrow = {n: t.clone() for n, t in tensors_of(elastic.module).items()}
    module = elastic.resize(MAP.full)
    for name, tensor in tensors_of(module).items():
        assert elastic.full[name].data_ptr() == tensor.data_ptr()
    with torch.no_grad():
        module.head.bias.fill_(3)
    again = elastic.resize([group.size // 2 for group in MAP.groups])
    assert (again.head.bias == 3).all()
    assert torch.equal(again.stem.weight, narrow["stem.weight"])
