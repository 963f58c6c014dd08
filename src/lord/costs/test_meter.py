import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call, grad, vmap

from lord.costs import FlopCount, Meter
from lord.costs.meter import GAP, next_check

LAYER = nn.Linear(3, 5)
X = torch.zeros(2, 3)
PASS = 2 * 2 * 3 * 5


def test_each_phase_has_its_flops_and_seconds():
    with Meter() as meter, torch.no_grad():
        with meter.phase("step"):
            LAYER(X)
        with meter.phase("evaluate"):
            LAYER(torch.cat([X, X]))
    assert dict(meter.flops) == {"step": PASS, "evaluate": 2 * PASS}
    assert all(seconds > 0 for seconds in meter.seconds.values())
    assert meter.operators == {}


def vectorised():
    weights = dict(LAYER.named_parameters())
    loss = lambda weights, x: functional_call(LAYER, weights, (x,)).sum()  # noqa: E731
    vmap(grad(loss), in_dims=(None, 0))(weights, X)


def several_backwards():
    loss = LAYER(X).sum()
    for _ in range(5):
        loss.backward(retain_graph=True)


CODE = [vectorised, several_backwards, lambda: F.linear(X, LAYER.weight).sum().backward()]


@pytest.mark.parametrize("run", CODE)
def test_operators_are_counted_where_the_count_of_layers_differs(run):
    said = []
    with FlopCount() as once:
        run()
    with Meter(said.append) as meter:
        for _ in range(100):
            with meter.phase("step"):
                run()
    assert meter.flops["step"] == 100 * once.total
    assert meter.operators == {"step": 0}
    assert len(said) == 1
    assert "'step'" in said[0]


def test_a_warning_tells_users_of_their_loops_about_the_difference():
    differs = pytest.warns(UserWarning, match="each, 140 would be")
    with differs, Meter() as meter, meter.phase("step"):
        LAYER(X) @ torch.zeros(5, 4)


def test_steps_of_random_cost_are_no_difference():
    generator = torch.Generator().manual_seed(0)
    passes = 0
    with Meter() as meter, torch.no_grad():
        for _ in range(300):
            with meter.phase("step"):
                LAYER(X)
                passes += 1
                if torch.rand((), generator=generator) < 0.3:
                    LAYER(X)
                    passes += 1
    assert meter.flops["step"] == passes * PASS
    assert meter.operators == {}


def test_code_that_changes_later_is_found_within_two_gaps():
    with Meter(lambda _: None) as meter, torch.no_grad():
        for number in range(1000):
            with meter.phase("step"):
                LAYER(X)
                if number >= 500:
                    X @ LAYER.weight.T
    assert 500 <= meter.operators["step"] < 500 + 2 * GAP
    missed = meter.operators["step"] - 500
    assert meter.flops["step"] == (1500 - missed) * PASS


def test_blocks_that_run_once_are_checked_and_so_is_the_first_step_after_them():
    with Meter(lambda _: None) as meter, torch.no_grad():
        for _ in range(40):
            with meter.phase("step"):
                LAYER(X)
        with meter.phase("step", once=True):
            X @ LAYER.weight.T
        assert meter.flops["step"] == 41 * PASS
        assert meter.operators == {}
        with meter.phase("step"):
            X @ LAYER.weight.T
        assert meter.operators == {"step": 40}


def test_checks_are_rare_and_follow_no_rhythm():
    checked = [number for number in range(10_000) if next_check(number) == number]
    assert checked[:2] == [0, 1]
    assert len(checked) < 10_000 / GAP + 8
    for period in range(2, 12):
        assert {number % period for number in checked} == set(range(period))


def test_a_meter_goes_on_from_its_state():
    def count(meter, start, stop):
        with meter, torch.no_grad():
            for number in range(start, stop):
                with meter.phase("step"):
                    LAYER(X).relu()
                    if number > 30:
                        X @ LAYER.weight.T

    whole, first, second = (Meter(lambda _: None) for _ in range(3))
    count(whole, 0, 200)
    count(first, 0, 90)
    second.load_state_dict(first.state_dict())
    second.flops.update(first.flops)
    count(second, 90, 200)
    assert second.flops == whole.flops
    assert second.state_dict() == whole.state_dict()
    assert 0 < second.missed("step") == whole.missed("step") < 0.2


def test_a_block_that_fails_is_counted_up_to_there():
    with Meter() as meter, torch.no_grad():
        with pytest.raises(RuntimeError), meter.phase("step"):
            LAYER(LAYER(X))
        with meter.phase("step"):
            LAYER(X)
    assert meter.flops["step"] == 2 * PASS
