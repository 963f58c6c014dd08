import json
import math
import re

import pytest

from lord.bench import bench
from lord.cli.main import main
from lord.conftest import refused
from lord.training import compose


def configs(*names, **given):
    given = {"threads": 1, "width": 8} | given
    return [compose(name, given, beside=names) for name in names]


@pytest.fixture(scope="module")
def found():
    return bench(configs("der++", "lord"), steps=4)


def test_every_method_has_a_row_for_every_task(found):
    assert [(s.task, s.method) for s in found.steps] == [
        (task, name) for task in range(1, 6) for name in ("der++", "lord")
    ]
    assert found.threads == 1


def test_rows_follow_a_growing_student(found):
    sizes = [s.params for s in found.steps if s.method == "lord"]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1] == found.steps[-2].params
    flops = [s.flops for s in found.steps if s.method == "lord"]
    assert flops[0] < flops[-1]


def test_a_step_is_split_into_passes_optimizer_and_the_rest(found):
    first = next(s for s in found.steps if s.method == "der++")
    passes = {f"{way} {number}" for way in ("forward", "backward") for number in (1, 2, 3)}
    assert passes | {"data", "buffer", "optimizer", "other"} <= set(first.split)
    assert 0 < first.overhead < 1


def test_a_teacher_has_a_forward_but_no_backward_pass(found):
    last = found.steps[-1]
    assert last.method == "lord"
    forward = [p for p in last.split if p.startswith("forward ")]
    assert len(forward) == 5  # student, teacher, sub-network, two draws
    backward = [p for p in last.split if p.startswith("backward ") and p[-1].isdigit()]
    assert len(backward) == 4


def test_realisation_is_the_ratio_of_seconds_to_flops(found):
    whole, bare = found.realisation("lord", "der++")
    flops = found.share("lord", "der++", lambda step: step.flops)
    seconds = found.share("lord", "der++", lambda step: step.seconds)
    assert whole == pytest.approx(seconds / flops)
    assert bare > 0
    assert found.realisation("der++", "der++") == pytest.approx((1, 1))


def test_tasks_end_before_the_next_begins():
    steps = bench(configs("icarl"), steps=1, task=2).steps
    assert steps[0].state_bytes > 500 * 64  # its buffer is filled at the end of a task


def test_a_single_task_can_be_timed():
    found = bench(configs("er", width=4, precision="bf16"), steps=1, task=3)
    assert [s.task for s in found.steps] == [3]
    assert found.precision == "bf16"


def test_a_preset_has_rows_under_its_own_name():
    found = bench(configs("lord", "lord+"), steps=1, task=1)
    assert [step.method for step in found.steps] == ["lord", "lord+"]
    assert found.share("lord+", "lord", lambda step: step.flops) < 1


def test_each_variant_is_timed_with_its_own_batch():
    small, large = (compose("sgd", {"threads": 1, "width": 4, "batch": n}) for n in (8, 32))
    costs = bench([small, large], steps=1, task=1).steps
    assert costs[1].flops == 4 * costs[0].flops
    with refused("precision", given="bf16", allowed=re.compile("fp32")):
        bench([small, compose("er", {"threads": 1, "precision": "bf16"})])


def test_a_missing_task_is_refused():
    with refused("task", given=6, allowed="an integer from 1 to 5"):
        bench(configs("er"), task=6)


def test_a_method_that_learns_all_tasks_at_once_is_refused():
    with refused("method", given="joint", hint="time 'sgd'"):
        bench(configs("joint"))


def test_the_command_writes_all_measurements(tmp_path, capsys):
    flags = f"--methods er,lord --steps 1 --width 8 --threads 1 --task 2 --out {tmp_path}/b.json"
    with pytest.raises(SystemExit) as stop:
        main(["bench", *flags.split()])
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    assert "lord takes" in shown
    assert "GFLOP/s in a large matrix product" in shown
    written = json.loads((tmp_path / "b.json").read_text())
    assert {s["method"] for s in written["bench"]["steps"]} == {"er", "lord"}
    assert written["environment"]["threads"] == 1


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--steps", "0"], "steps"),
        (["--methods", "lrod"], "lrod"),
        (["--out", "nowhere/b.json"], "nowhere"),
    ],
)
def test_errors_of_the_command_are_one_line(flags, said, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["bench", *flags])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    "made", [configs("ncm", "er"), configs("sgd", "er", network="mlp")], ids=["ncm", "mlp"]
)
def test_shares_of_nothing_are_no_number(made):
    one, other = (config.label for config in made)
    found = bench(made, steps=2, task=1)
    whole, bare = found.realisation(other, one)
    assert math.isnan(bare)
    assert math.isnan(whole) == (one == "ncm")
