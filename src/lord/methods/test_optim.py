import re

import pytest
import torch
from torch import nn

from lord import compose, run
from lord.channels import Elastic, permute, trace
from lord.conftest import refused
from lord.methods.optim import (
    CLASSES,
    TAKEN_BY,
    OptimizerConfig,
    Progress,
    ScheduledOptimizer,
)

OPTIONS = {
    "momentum": 0.7,
    "dampening": 0.2,
    "beta1": 0.8,
    "beta2": 0.95,
    "eps": 1e-4,
    "amsgrad": True,
}
KINDS = [*CLASSES, "muon"]


def network_of(width):
    torch.manual_seed(0)
    layers = nn.Linear(5, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()
    return nn.Sequential(*layers, nn.Linear(width, 3))


def options_of(kind):
    return {name: value for name, value in OPTIONS.items() if kind in TAKEN_BY[name]}


@pytest.mark.parametrize("kind", CLASSES)
def test_an_optimizer_steps_as_that_of_pytorch_with_the_same_options(kind):
    network, twin, images = network_of(8), network_of(8), torch.randn(16, 5)
    config = OptimizerConfig(optimizer=kind, lr=0.01, weight_decay=0.1, **options_of(kind))
    ours = ScheduledOptimizer(network.parameters(), config)
    options = options_of(kind)
    if "beta1" in options:
        options["betas"] = options.pop("beta1"), options.pop("beta2")
    elif "beta2" in options:
        options["alpha"] = options.pop("beta2")
    theirs = CLASSES[kind](twin.parameters(), lr=0.01, weight_decay=0.1, **options)
    for step in range(3):
        ours.update(network(images).square().mean(), Progress(step, 3))
        twin(images).square().mean().backward()
        theirs.step()
        theirs.zero_grad()
    for one, other in zip(network.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(one, other)


def test_options_that_are_not_given_are_those_of_pytorch():
    adam = ScheduledOptimizer([nn.Parameter(torch.zeros(2))], OptimizerConfig(optimizer="adamw"))
    group = adam.torch.param_groups[0]
    assert (group["betas"], group["eps"], group["weight_decay"]) == ((0.9, 0.999), 1e-8, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_state_grows_and_is_permuted_with_the_weights(kind):
    network = network_of(8)
    elastic = Elastic(network, trace(network, torch.zeros(1, 5)))
    small = elastic.resize((4, 4))
    config = OptimizerConfig(optimizer=kind, lr=0.01, **options_of(kind))
    optimizer, images = ScheduledOptimizer(small.parameters(), config), torch.randn(16, 5)
    for step in range(20):
        optimizer.update(small(images).square().mean(), Progress(step, 20))
    state = state_of(small, optimizer)
    order = torch.tensor([2, 0, 3, 1])
    permute(elastic.channels, small, {0: order}, optimizer.torch)
    for name, before, after in pairs(state, state_of(small, optimizer)):
        dimension = {"0.weight": 0, "0.bias": 0, "2.weight": 1}.get(name)
        moved = before if dimension is None else before.index_select(dimension, order)
        assert torch.equal(after, moved)
    state = state_of(small, optimizer)
    large = elastic.resize((8, 8), optimizer.torch)
    for _, before, after in pairs(state, state_of(large, optimizer)):
        assert torch.equal(after[tuple(map(slice, before.shape))], before)
    optimizer.update(large(images).square().mean(), Progress(0, 20))


def state_of(network, optimizer):
    """The optimizer's tensors with the shape of their weight, by the weight's name."""
    return {
        (name, key): value.clone()
        for name, weight in network.named_parameters()
        for key, value in optimizer.torch.state[weight].items()
        if isinstance(value, torch.Tensor) and value.shape == weight.shape
    }


def pairs(before, after):
    assert before.keys() == after.keys()
    return [(name, before[name, key], after[name, key]) for name, key in before]


def test_the_first_updates_of_new_channels_are_not_larger_than_the_learning_rate():
    network, images = network_of(8), torch.randn(64, 5)
    elastic = Elastic(network, trace(network, images[:1]))
    small = elastic.resize((4, 4))
    config = OptimizerConfig(optimizer="adamw", lr=0.01)
    optimizer = ScheduledOptimizer(small.parameters(), config)
    for step in range(200):
        optimizer.update((small(images) - 1).square().mean(), Progress(step, 200))
    weight = elastic.resize((8, 8), optimizer.torch)[0].weight
    before = weight.detach().clone()
    squared = optimizer.torch.state[weight]["exp_avg_sq"][:4] / (1 - 0.999**200)
    for _ in range(10):  # gradients as large as those so far
        weight.grad = torch.full_like(weight, float(squared.mean().sqrt()))
        optimizer.torch.step()
    assert (weight.detach() - before)[4:].abs().max() < 10 * config.lr


@pytest.mark.parametrize("kind", ["adamw", pytest.param("rmsprop", marks=pytest.mark.slow)])
def test_a_growing_student_trains_with_any_optimizer(kind):
    given = {"width": 4, "subset": 0.1, "epochs": 1, "candidates": 8}
    given |= {"optimizer": kind, "lr": 0.005}
    for method in ("lord", "lord+"):
        record = run(compose(method, given))
        assert record.settings["optimizer"] == kind
        assert record.matrices.class_il[0][0] >= 0


def test_options_of_other_optimizers_are_refused_but_not_those_of_a_preset():
    with refused("beta1", given=0.8, hint=re.compile("one of adam, adamw")):
        compose("er", {"beta1": 0.8})
    with refused("momentum", given=0.9, hint=re.compile("one of sgd, muon, rmsprop$")):
        compose("er", {"optimizer": "adamw", "momentum": 0.9})
    with refused("nesterov", hint="set `momentum` above 0 and `dampening` to 0"):
        compose("er", {"nesterov": True, "momentum": 0.9, "dampening": 0.1})
    assert compose("lord+", {"optimizer": "adamw"}).optimizer.momentum == 0.6
    with refused("optimizer", given="lbfgs"):
        compose("er", {"optimizer": "lbfgs"})
