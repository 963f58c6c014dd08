"""Equal budgets of FLOPs for each task, and streams that do not wait."""

import re
from itertools import repeat

import pytest
import torch
from rich.console import Console

from lord.config import UserError
from lord.conftest import refused
from lord.evaluation import read_record
from lord.streams import Cursor
from lord.training import compose, run
from lord.training.budget import FlopBudget, RealTime
from lord.training.test_resume import outcome, stopped_after

TINY = {"width": 4, "threads": 1, "stop_after": 2, "subset": 0.15, "batch": 10, "epochs": 1}
SMALL_BUFFER = {"buffer": 32, "replay": 10}
LORD = SMALL_BUFFER | {"candidates": 8}


def cursor(batch=4):
    return Cursor(batch, torch.Generator().manual_seed(0))


def spend(budget, costs, ending):
    """Take the steps of one task. Return the progress at each."""
    place, seen, held = cursor(), [], 0
    budget.begin(20)
    while (taken := budget.take(place, 20, held, lambda now=held: ending(now))).rows is not None:
        cost = next(costs)
        budget.charge(cost)
        budget.stepped(taken.rows, cost)
        seen.append(taken.progress.fraction)
        held += len(taken.rows)
    budget.charge(ending(held))
    return seen


@pytest.mark.parametrize(("seed", "flops", "each"), [(0, 20_000, 0), (1, 30_000, 8), (2, 9_000, 5)])
def test_each_task_spends_its_flops_to_half_a_step_and_ends_its_schedule(seed, flops, each):
    draws = torch.Generator().manual_seed(seed)
    sizes = torch.randint(100, 301, (1000,), generator=draws).tolist()
    budget, costs = FlopBudget(flops, 1, lambda text: None), iter(sizes)
    for _ in range(2):
        seen = spend(budget, costs, lambda held: 700 + each * min(held, 150))
        assert abs(budget.spent[-1] - flops) <= 200
        assert seen[len(seen) // 2] == pytest.approx(0.5, abs=0.1)
        assert seen[-1] > 0.97


def test_a_task_whose_steps_cost_nothing_ends_with_its_epochs():
    budget = FlopBudget(1000, 3, lambda text: None)
    assert len(spend(budget, repeat(0), lambda held: 0)) == 3 * 5


@pytest.mark.parametrize(("ratio", "share"), [(0.5, 1), (1, 1), (1.5, 2 / 3), (2, 0.5), (3, 1 / 3)])
def test_a_method_sees_the_share_of_the_stream_that_its_cost_leaves(ratio, share):
    budget, place = RealTime(1, reference=100), cursor()
    for _ in range(2):  # the delay of the first task lasts into the second
        budget.begin(240)
        while (taken := budget.take(place, 240, 0, int)).rows is not None:
            budget.charge(int(100 * ratio))
            budget.stepped(taken.rows, int(100 * ratio))
        assert budget.rows_learned.sum() == pytest.approx(240 * share, abs=4)
        place = cursor()
    assert budget.share == pytest.approx(share, abs=0.01)
    assert budget.total == 480


def limited(method, **limits):
    own = {"sgd": {}, "joint": {}, "er-all": {}, "lord": LORD, "lord+": LORD}
    return compose(method, TINY | own.get(method, SMALL_BUFFER) | limits)


@pytest.mark.parametrize("method", ["er", "icarl"])
def test_methods_spend_equal_flops(method):
    record = run(limited(method, flops_per_task=9e7, batch=4, replay=4))
    assert record.task_flops == pytest.approx([9e7] * 2, rel=0.01)
    assert sum(record.task_flops) == record.training_flops
    assert record.recompute_flops > 0


@pytest.mark.slow
@pytest.mark.parametrize("method", ["er", "der++", "er-ace", "icarl", "lord", "lord+"])
def test_all_kinds_of_methods_spend_equal_flops(method):
    record = run(limited(method, flops_per_task=3e8, stop_after=3))
    assert record.task_flops == pytest.approx([3e8] * 3, rel=0.01)


@pytest.mark.parametrize(
    ("method", "limit"), [("er", {"flops_per_task": 2e7}), ("icarl", {"realtime": True})]
)
def test_a_limited_run_that_is_resumed_has_the_same_results(tmp_path, monkeypatch, method, limit):
    config = limited(method, checkpoint_every=0, **limit)
    run(config, tmp_path / "whole")
    steps = read_record(tmp_path / "whole").steps
    for stop in (steps // 3, steps // 4):
        stopped_after(stop, config, tmp_path / "parts", monkeypatch)
    run(config, tmp_path / "parts", resume=True)
    assert outcome(tmp_path / "parts") == outcome(tmp_path / "whole")


def test_replay_halves_the_stream_in_real_time():
    sgd, er = (run(limited(method, realtime=True)) for method in ("sgd", "er"))
    assert sgd.stream_seen == 1
    assert er.stream_seen == pytest.approx(0.5, abs=0.1)  # few batches, and the first is cheap
    assert run(limited("sgd")).stream_seen is None


def test_joint_training_spends_the_flops_of_all_tasks():
    assert run(limited("joint", flops_per_task=2e7)).task_flops == pytest.approx([4e7], rel=0.05)


def test_a_budget_below_one_step_is_refused_and_a_small_one_warns():
    with refused("flops_per_task", given=1000, allowed=re.compile("at least")):
        run(limited("er", flops_per_task=1000))
    console = Console(record=True, width=200)
    run(limited("er", flops_per_task=1e7, stop_after=1), console=console)
    assert "of the FLOPs per task, so tasks may miss them" in console.export_text()


def test_limits_that_contradict_each_other_or_the_method_are_refused():
    with refused("realtime", hint="set one of them"):
        compose("er", {"realtime": True, "flops_per_task": 1e9})
    with refused("flops_per_task", hint=re.compile("leave out")):
        compose("gdumb", {"flops_per_task": 1e9})
    for method in ("lwf", "lord-fused"):
        for field in ("realtime", "prequential"):
            with refused(field, hint=re.compile("leave out")):
                compose(method, {field: True})


def kept_by(method, limit):
    return run(limited(method, bytes=limit))


@pytest.mark.parametrize("method", ["er", "lord"])
def test_no_method_keeps_more_bytes_than_allowed(method):
    record = kept_by(method, 60_000)
    assert record.state_bytes <= 60_000
    row = 64 + 8 + (40 if method == "lord" else 0)  # image, label and logits
    assert record.settings["buffer"] * row > 60_000 - record.state_bytes
    if method == "er":
        assert 60_000 - record.state_bytes < row


@pytest.mark.slow
@pytest.mark.parametrize("method", ["der++", "er-ace", "icarl", "lord+", "mean-er", "x-der-rpc"])
def test_no_kind_of_method_keeps_more_bytes_than_allowed(method):
    record = run(limited(method, bytes=80_000, momentum=0.9, stop_after=5))
    assert 0.6 * 80_000 < record.state_bytes <= 80_000


@pytest.mark.parametrize("method", ["lwf", "slda", "lord-fused"])
def test_the_least_bytes_of_a_method_without_a_fitted_buffer_are_enough(method):
    own = LORD if method == "lord-fused" else {}
    given = TINY | own | {"stop_after": 3, "subset": 0.3}
    with pytest.raises(UserError) as error:
        run(compose(method, given | {"bytes": 1000}))
    least = int(re.search(r"\d+", error.value.allowed)[0])
    record = run(compose(method, given | {"bytes": least}))
    assert 0.5 * least < record.state_bytes <= least


def test_models_that_need_more_bytes_are_refused():
    for method in ("er", "er-all", "sgd"):
        with refused("bytes", given=10_000, allowed=re.compile(r"at least \d+")):
            kept_by(method, 10_000)
