"""Searches with real runs, and spaces that are refused."""

import csv
import json
import os
import re
import signal
import sys

import pytest
import yaml

from lord.conftest import refused
from lord.evaluation import read_record
from lord.streams import make_stream
from lord.studies.compare import load_all
from lord.studies.engines import Job
from lord.studies.engines.local import run_here
from lord.studies.test_compare import ended, lord, wait_for  # noqa: F401
from lord.studies.tune import make_plan, parse_space, tune, write_tuning
from lord.studies.tune.journal import repair
from lord.studies.tune.search import Scheduler, import_optuna
from lord.studies.tune.space import combinations
from lord.studies.tune.study import Search
from lord.training import compose, run

pytest.importorskip("optuna", reason="optuna is not installed")
SMALL = {"width": 8, "epochs": 1, "threads": 1, "network": "cnn"}
LR = ("lr=0.01..0.3:log",)


def plan_of(*methods, space=LR, **options):
    given = SMALL | options.pop("given", {})
    effort = options if {"trials", "flops"} & options.keys() else options | {"trials": 9}
    return make_plan(methods or ["er"], given, parse_space(space), **effort)


def test_by_default_no_test_image_and_no_later_task_is_used():
    plan = plan_of("er")
    config = compose("er", plan.given, preset=plan.preset)
    images = load_all([config])[config.data]
    stream = make_stream(images, config.stream, 0).first(config.stream.stop_after)
    test = {image.numpy().tobytes() for image in images.test_images}
    train = {image.numpy().tobytes() for image in stream.train[0].images}
    scored = {image.numpy().tobytes() for image in stream.test[0].images}
    assert len(stream.train) == len(stream.test) == 1
    assert not scored & test
    assert not scored & train
    assert "held-out training images: the last 0.2 of each class, of the first task" in plan.images
    assert "the test images" in plan_of("er", on="test-stream").images
    other = plan_of("er", given={"skip": 0.4, "subset": 0.2, "validation": 0.2})
    assert (other.given["subset"], other.given["validation"]) == (0.2, 0.2)
    assert other.lasting == SMALL | {"subset": 0.2}


def test_a_run_of_the_first_tasks_has_the_results_of_the_whole_run(tmp_path):
    whole = run(compose("lord", SMALL | {"candidates": 8}))
    part = run(compose("lord", SMALL | {"candidates": 8, "stop_after": 2}))
    assert part.matrices.class_il == whole.matrices.class_il[:2]
    assert part.matrices.task_il == whole.matrices.task_il[:2]
    with refused("stop_after", given=6):
        run(compose("er", SMALL | {"stop_after": 6}))


@pytest.mark.slow
def test_the_best_settings_configure_a_comparison_despite_a_failed_trial(tmp_path):
    plan = plan_of("sgd", "er", space=["lr=0.03,1e30"], given={"epochs": 9}, trials=6)
    lines = []
    studies = tune(plan, tmp_path, jobs=2, report=lines.append)
    tuning = write_tuning(plan, studies, tmp_path, "lord tune ...")
    with (tmp_path / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4  # of two settings, there is no third trial
    assert lines[-1] == "er: all 2 possible settings were tried"
    for found in tuning.methods:
        assert found.trials == 2
        assert found.best == {"lr": 0.03}
        finished = [
            row for row in rows if row["method"] == found.method and row["end"] == "finished"
        ]
        assert found.failed == 2 - len(finished)
        first = next(row for row in finished)
        record = read_record(tmp_path / found.method / f"trial-{int(first['trial']):04}")
        assert float(first["accuracy"]) == record.headline[0] == found.accuracy
        assert float(first["flops"]) == record.training_flops
    assert {row["end"] for row in rows} <= {"finished", "failed"}
    values = yaml.safe_load((tmp_path / "best.yaml").read_text())
    assert values["sgd.lr"] == values["er.lr"] == 0.03
    preset = values.pop("preset")
    for name in ("sgd", "er"):
        config = compose(name, values, preset=preset, beside=["sgd", "er"])
        assert config.optimizer.lr == 0.03
        assert config.stream.stop_after is None
        assert config.stream.validation == 0
    record = json.loads((tmp_path / "tuning.json").read_text())
    assert record["command"] == "lord tune ..."
    assert record["environment"]["torch"]


@pytest.mark.slow
def test_each_method_gets_the_same_flops_and_no_trial_exceeds_them(tmp_path):
    once = run(compose("er", plan_of("er").given | {"lr": 0.03})).training_flops
    plan = plan_of("sgd", "er", flops=2 * 2.5 * once)
    studies = tune(plan, tmp_path, jobs=2, report=lambda _: None)
    spent = {
        name: sum(trial.user_attrs["flops"] for trial in study.trials)
        for name, study in studies.items()
    }
    assert len(studies["er"].trials) == 2
    assert spent["er"] == 2 * once
    assert all(0.5 < flops / (2.5 * once) <= 1 for flops in spent.values())


@pytest.mark.slow
def test_a_trial_below_the_median_after_a_task_is_stopped_and_counted(tmp_path):
    plan = plan_of("er", given={"stop_after": 3, "checkpoint_every": 0}, trials=9)
    search = Search(import_optuna(), plan, "er", tmp_path)
    for _ in range(5):  # those before it, all better than can be
        trial = search.ask()
        for task in range(3):
            trial.report(task, [101.0])
        search.tell(trial, 101.0, None)
    config = compose("er", plan.given)
    scheduler = Scheduler([search], load_all([config]), lambda _: None)
    job = next(scheduler.jobs())
    assert isinstance(job, Job)
    errors = []
    for ended_job, error in run_here([job], slots=1, should_stop=scheduler.falls_behind):
        scheduler.end(ended_job, error)
        errors.append(error)
    assert errors == ["stopped"]
    last = search.study.trials[-1]
    assert last.state.name == "PRUNED"
    assert 1 <= len(last.intermediate_values) < 3
    assert last.user_attrs["flops"] > 0
    assert not list(job.folder.glob("checkpoint*"))


def test_without_optuna_the_error_names_the_extra_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with refused(None, hint="pip install 'lord-cl[tune]'"):
        tune(plan_of("er"), tmp_path)


def test_another_search_in_the_same_folder_is_refused(tmp_path):
    Search(import_optuna(), plan_of("er"), "er", tmp_path)
    other = plan_of("er", space=["lr=0.02..0.3:log"])
    has = "holds a search of er with lr=0.01..0.3:log, not with lr=0.02..0.3:log"
    with refused("space", problem=f"'{tmp_path}' {has}", hint="choose another `out`"):
        Search(import_optuna(), other, "er", tmp_path)


@pytest.mark.parametrize(
    ("field", "source"),
    [("plugin", {"plugin": {"a.py": "2"}, "data": "k"}), ("data", {"plugin": {}, "data": "other"})],
)
def test_a_search_goes_on_only_with_its_plug_in_and_images(tmp_path, field, source):
    first = {"plugin": {"a.py": "1"} if field == "plugin" else {}, "data": "k"}
    for _ in range(2):
        Search(import_optuna(), plan_of("er"), "er", tmp_path, first)
    with refused(field, hint="choose another `out`"):
        Search(import_optuna(), plan_of("er"), "er", tmp_path, source)


def test_an_incomplete_journal_is_repaired_and_another_file_is_not_touched(tmp_path):
    Search(import_optuna(), plan_of("er"), "er", tmp_path).ask()
    journal = tmp_path / "journal.log"
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"op_code": 5, "worker')
    repair(journal)
    assert journal.read_bytes() == whole
    journal.write_text("hello\n")
    with refused("out", problem=re.compile("is not the journal of a search")):
        tune(plan_of("er"), tmp_path)
    assert journal.read_text() == "hello\n"


LINE = "tune --methods er --space lr=0.01..0.3:log --trials 3 --width 8 --threads 1 --jobs 1"


@pytest.mark.slow
def test_after_ctrl_c_the_same_search_continues_and_repeats_no_trial(lord, tmp_path):  # noqa: F811
    line = f"{LINE} --epochs 20 --checkpoint-every 0.5 --out {tmp_path}"
    process = lord(line)
    wait_for((tmp_path / "er" / "trial-0000" / "summary.json").exists)
    wait_for((tmp_path / "er" / "trial-0001" / "checkpoint.safetensors").exists)
    os.killpg(process.pid, signal.SIGINT)
    code, _, error = ended(process)
    assert code == 130
    assert str(tmp_path) in error
    stamp = (tmp_path / "er" / "trial-0000" / "summary.json").stat().st_mtime_ns
    asked = yaml.safe_load((tmp_path / "er" / "trial-0001" / "config.yaml").read_text())
    code, out, error = ended(lord(line))
    assert code == 0, error
    assert (tmp_path / "er" / "trial-0000" / "summary.json").stat().st_mtime_ns == stamp
    again = yaml.safe_load((tmp_path / "er" / "trial-0001" / "config.yaml").read_text())
    assert again["lr"] == asked["lr"]
    assert len(list((tmp_path / "er").glob("trial-*/summary.json"))) == 3
    assert "er: 3 trials (0 stopped, 0 failed)" in out


def test_few_settings_are_each_tried_once_even_if_a_search_is_continued(tmp_path):
    space = ["epochs=1..3", "replay=16,32"]
    given = {name: value for name, value in SMALL.items() if name != "epochs"}
    plan = make_plan(["er"], given, parse_space(space), trials=99)
    seen = []
    for _ in range(2):
        search = Search(import_optuna(), plan, "er", tmp_path)
        while search.affordable() and len(seen) < 99:
            trial = search.ask()
            seen.append(tuple(trial.values.values()))
            if len(seen) == 4:
                break  # one that does not end
            search.tell(trial, 50.0, None)
    assert seen[3] == seen[4]
    assert sorted({*seen}) == sorted((e, r) for e in (1, 2, 3) for r in (16, 32))
    assert len(seen) == 7
    assert search.exhausted()


def test_a_budget_of_flops_is_refused_if_trials_cost_none(tmp_path):
    search = Search(import_optuna(), plan_of("ncm", flops=1e9), "ncm", tmp_path)
    search.tell(search.ask(), 50.0, None)  # as long as nothing is added, a trial cost 0 FLOPs
    with refused("flops", given=1e9, hint=re.compile("`trials`")):
        search.affordable()


def test_no_settings_are_tried_twice_among_thousands(tmp_path):
    given = {name: value for name, value in SMALL.items() if name != "epochs"}
    space = parse_space(["replay=16..115", "epochs=1..11"])
    plan = make_plan(["er"], given, space, trials=12)
    search = Search(import_optuna(), plan, "er", tmp_path)
    search.tried = list(combinations(search.space))[:-2]
    left = list(combinations(search.space))[-2:]
    found = []
    while search.affordable():
        trial = search.ask()
        found.append(trial.values)
        search.tell(trial, 50.0, None)
    assert sorted(found, key=str) == sorted(left, key=str)


def test_a_users_file_is_not_replaced_by_the_best_settings(tmp_path):
    (tmp_path / "best.yaml").write_text("lr: 0.1")
    with refused("out", problem=re.compile("best.yaml' does not belong to a search")):
        tune(plan_of("er"), tmp_path)
    assert (tmp_path / "best.yaml").read_text() == "lr: 0.1"


@pytest.mark.slow
def test_without_a_successful_trial_no_best_settings_are_written(tmp_path):
    space = ["sgd.lr=1e29,1e30", "er.lr=0.03,0.04"]
    plan = plan_of("er", "sgd", space=space, given={"epochs": 9, "subset": 0.1}, trials=4)
    studies = tune(plan, tmp_path, jobs=2, report=lambda _: None)
    with refused(None, problem=re.compile("no trial of sgd succeeded, the first: .*loss")):
        write_tuning(plan, studies, tmp_path, "lord tune ...")
    assert (tmp_path / "trials.csv").exists()
    assert not (tmp_path / "best.yaml").exists()


@pytest.mark.slow
def test_settings_that_exclude_each_other_are_a_failed_trial(tmp_path):
    space = ["buffer=32,64", "replay=16,64"]
    plan = plan_of("er:nesterov=true:momentum=0.5", space=space, trials=4)
    lines = []
    studies = tune(plan, tmp_path, jobs=2, report=lines.append)
    tuning = write_tuning(plan, studies, tmp_path, "lord tune ...")
    assert (tuning.methods[0].trials, tuning.methods[0].failed) == (4, 1)
    assert any("buffer" in line and "replay" in line for line in lines)
    write_tuning(plan, studies, tmp_path, "lord tune --trials 9")
    head = (tmp_path / "best.yaml").read_text().splitlines()[:2]
    assert head == ["# lord tune ...", "# lord tune --trials 9"]
    best = yaml.safe_load((tmp_path / "best.yaml").read_text())
    assert (best["er.nesterov"], best["er.momentum"]) == (True, 0.5)
    with refused("methods", problem=re.compile("also holds a search of er:nesterov")):
        tune(plan_of("sgd"), tmp_path)


def test_too_many_tasks_are_refused_before_anything_runs(tmp_path):
    with refused("stop_after", given=99):
        tune(plan_of("er", given={"stop_after": 99}), tmp_path)
    assert not list(tmp_path.iterdir())
