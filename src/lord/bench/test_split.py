import time

import pytest
import torch
from torch import Tensor, nn

from lord.bench import (
    Convolution,
    StepProfile,
    bare_seconds,
    convolution_calls,
    matmul_ceiling,
)
from lord.bench.ceiling import _safe

CPU = torch.device("cpu")


class Nap:
    def take(self, seconds):
        time.sleep(seconds)
        return seconds


class Slow(nn.Module):
    """Sleep in the forward pass, and longer in the backward pass."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(2, 2)

    def forward(self, x):
        inner = self.inner(x)
        if inner.requires_grad:
            inner.register_hook(lambda gradient: time.sleep(0.04))
        time.sleep(0.02)
        return 2 * inner


def step(module, optimizer, nap):
    x = torch.ones(3, 2)
    loss = module(x).sum() + 2 * module(x).sum()
    with torch.no_grad():
        module(x)
    nap.take(0.03)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


@pytest.fixture
def watched():
    module = Slow()
    split = StepProfile({"nap": [(Nap, "take")]})
    with split.step():
        step(module, torch.optim.SGD(module.parameters(), lr=0.1), Nap())
    return split.seconds


def test_each_pass_has_a_forward_and_a_backward_part(watched):
    assert all(watched[f"forward {number}"] >= 0.02 for number in (1, 2, 3))
    assert watched["backward 1"] >= 0.04
    assert watched["backward 2"] >= 0.04


def test_a_pass_without_gradients_has_no_backward_part(watched):
    assert "backward 3" not in watched


def test_named_parts_and_the_optimizer_are_measured(watched):
    assert watched["nap"] >= 0.03
    assert watched["optimizer"] > 0


def test_the_parts_add_up_to_the_step():
    module = Slow()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    gaps = []
    for _ in range(5):  # other processes may interrupt a step
        split = StepProfile({})
        start = time.perf_counter()
        with split.step():
            step(module, optimizer, Nap())
        gaps.append(abs(time.perf_counter() - start - sum(split.seconds.values())))
    assert min(gaps) < 0.005


def test_nothing_is_measured_after_the_step():
    before = (Nap.take, Tensor.backward)
    split = StepProfile({"nap": [(Nap, "take")]})
    with pytest.raises(ZeroDivisionError), split.step():
        _ = 1 / 0
    assert (Nap.take, Tensor.backward) == before
    spent = dict(split.seconds)
    step(Slow(), torch.optim.SGD(Slow().parameters(), lr=0.1), Nap())
    assert split.seconds == spent


def test_convolutions_are_listed_with_the_gradients_they_need():
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.Conv2d(8, 8, 3))
    calls = convolution_calls(lambda: network(torch.zeros(2, 3, 12, 12)))
    found = [(call[0], call[1], call[-2:], count) for call, count in calls.items()]
    assert found == [
        ((2, 3, 12, 12), (8, 3, 3, 3), (False, True), 1),
        ((2, 8, 10, 10), (8, 8, 3, 3), (True, True), 1),
        ((2, 8, 8, 8), (8, 8, 3, 3), (True, True), 1),
    ]
    with torch.no_grad():
        calls = convolution_calls(lambda: network(torch.zeros(2, 3, 12, 12)))
    assert all(call[-2:] == (False, False) for call in calls)


def test_strided_pointwise_convolutions_of_few_channels_are_safe():
    call = Convolution((32, 4, 9, 8), (8, 4, 1, 1), (2, 2), (0, 0), (1, 1), 1, True, True)
    assert _safe(call, CPU).shape == (32, 4, 5, 4)
    assert bare_seconds({call: 1}, CPU, torch.float32) > 0


def test_bare_convolutions_count_every_call():
    call = Convolution((2, 4, 8, 8), (4, 4, 3, 3), (1, 1), (1, 1), (1, 1), 1, True, True)
    once = {call: 1}
    often = dict.fromkeys(once, 1000)
    assert 0 < bare_seconds(once, CPU, torch.float32) < bare_seconds(often, CPU, torch.float32)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_ceiling_is_a_speed(dtype):
    assert matmul_ceiling(CPU, dtype, size=64) > 1e6
