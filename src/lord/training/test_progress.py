"""What a run reports while it trains."""

import json
import re

import pytest
import torch
from rich.console import Console

from lord.conftest import refused
from lord.evaluation import read_journal
from lord.methods import METHODS, register
from lord.training import compose, run
from lord.training.lines import ProgressLines
from lord.training.scalars import scalar_values

TINY = {"epochs": 3, "width": 4, "subset": 0.3, "threads": 1}


@pytest.fixture
def method():
    """Return a function that registers ER with more scalars than its loss."""
    er, made = METHODS["er"].method, []

    def make(scalars_at):
        class Talkative(er):
            name = "talkative"
            STATE = ("taken",)
            taken = 0

            def step(self, batch, progress):
                self.taken += 1
                return super().step(batch, progress) | scalars_at(self.taken)

        made.append(register(Talkative).name)
        return made[-1]

    yield make
    for name in made:
        METHODS.pop(name)


def trained(folder):
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [entry for entry in map(json.loads, lines) if entry["kind"] == "train"]


def test_a_scalar_may_come_and_go_from_step_to_step(tmp_path, method):
    def scalars(step):
        names = {3: "three", 26: "late", 27: "late"}
        return {names[step]: torch.tensor(float(step))} if step in names else {}

    run(compose(method(scalars), TINY | {"tasks": 1}), tmp_path)
    first, second, *_ = trained(tmp_path)
    assert first["three"] == 3
    assert "late" not in first
    assert second["late"] == 26.5
    assert "three" not in second


def test_a_scalar_that_is_not_finite_leaves_the_journal_readable(tmp_path, method):
    run(compose(method(lambda step: {"ratio": torch.tensor(torch.nan)}), TINY), tmp_path)
    assert {entry["ratio"] for entry in trained(tmp_path)} == {None}
    assert len(read_journal(tmp_path).losses) == len(trained(tmp_path)) > 0


def test_a_scalar_with_a_reserved_name_is_refused(method):
    with refused(None, problem=re.compile("'task'"), hint="choose another name"):
        run(compose(method(lambda step: {"task": torch.tensor(1.0)}), TINY))


def test_the_values_of_a_scalar_are_those_of_the_steps_that_returned_it():
    steps = [{"loss": torch.tensor(1.0)}, {"loss": torch.tensor(2), "on": torch.tensor(True)}]
    assert scalar_values(steps) == {"loss": [1, 2], "on": [1]}


def test_without_a_terminal_a_run_prints_a_line_for_each_task(capfd):
    run(compose("er", TINY | {"tasks": 2}), console=Console(force_terminal=False))
    lines = capfd.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in lines] == ["task 1 of 2: 100 %", "task 2 of 2: 100 %"]
    assert re.search(r"Class-IL \d+\.\d %", lines[1])


def test_a_line_within_a_task_comes_only_after_a_pause():
    shown = []
    for pause in (0.0, 60.0):
        lines = ProgressLines(pause, shown.append)
        lines.task_begins("task 1 of 1", 100, 20)
        lines.trained(30, 0.5)
    assert len(shown) == 1
    assert shown[0].startswith("task 1 of 1: 50 %, loss 0.500, ")
