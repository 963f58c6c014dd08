"""The student's width by the end of streams that are not five tasks."""

import io

import pytest
import torch
from rich.console import Console

from lord.conftest import refused
from lord.data import load_images
from lord.reporting import summarise, warned
from lord.training import compose, run
from lord.training.setup import make_method, stream_of

SMALL = {"epochs": 1, "width": 8, "threads": 1, "candidates": 0, "subset": 0.1}


def with_output(method, **more):
    """Return the record of a small run, and what it printed."""
    console = Console(file=io.StringIO(), width=80)
    record = run(compose(method, SMALL | more), console=console)
    return record, console.file.getvalue()


def test_two_tasks_at_the_papers_pace_are_warned_of_once():
    record, output = with_output("lord", tasks=2)
    (warning,) = record.warnings
    assert "ends at level 1 of 10" in warning
    assert "`pace`" in warning
    assert output.count("`pace`") == 1
    assert warned(summarise([record])) == [f"lord: {warning}."]


@pytest.mark.parametrize("method", ["lord:pace=auto", "lord:growth=none", "lord:pace=1", "lord+"])
def test_a_pace_that_was_chosen_is_not_warned_of(method):
    assert with_output(method, tasks=2, stop_after=1)[0].warnings == []


def test_five_tasks_at_the_papers_pace_are_not_warned_of():
    assert with_output("lord", stop_after=1)[0].warnings == []


def levels(method, **more):
    """Return the student's level in each task, without training it."""
    config = compose(method, SMALL | more)
    data = load_images(config.data)
    made, stream = make_method(config, data, stream_of(config, data), torch.device("cpu"))
    found = []
    for task in stream.train:
        made.begin_task(task)
        found.append(made.level)
    return found


LARGE_FIRST = ((0, 1, 2, 3, 4, 5, 6, 7), (8, 9))


def test_the_default_of_lord_plus_grows_by_the_images_seen():
    small_first = ((0,), (1, 2, 3), (4, 5, 6, 7, 8, 9))
    assert levels("lord+", tasks=2) == [5, 8]
    assert levels("lord+", split=small_first) == [5, 9, 10]
    assert levels("lord+", split=small_first[::-1]) == [5, 7, 8]
    assert levels("lord+:pace=2", tasks=2) == [2, 2]


def test_a_student_with_a_budget_has_the_width_that_its_flops_pay_for():
    def widths(flops, method="lord+", **more):
        return levels(method, **{"flops_per_task": flops, "epochs": 99} | more)

    assert widths(1e6) == [1] * 5
    assert widths(1e15) == [10] * 5
    chosen = widths(1e8)
    assert 1 < chosen[0] < 10
    assert chosen == sorted(chosen)
    assert widths(1e8, "lord+:passes=0.5") == [10] * 5
    assert widths(1e8, "lord+:pace=2") == levels("lord+:pace=2")
    more, fewer = (
        widths(1e9, subset=0.5, split=split) for split in (LARGE_FIRST, LARGE_FIRST[::-1])
    )
    assert more[0] < fewer[0] == fewer[1]  # it grows when a task has fewer images, never shrinks
    assert more[1] == fewer[0]


def test_a_pace_is_a_number_or_auto():
    assert compose("lord:pace=auto").settings.pace == "auto"
    assert compose("lord+:pace=3").settings.pace == 3.0
    with refused("pace", given="fast"):
        compose("lord:pace=fast")
