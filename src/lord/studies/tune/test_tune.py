"""Searches with real runs; spaces that cannot be."""

import csv
import json
import os
import signal
import sys

import pytest
import yaml

from lord.config import UserError
from lord.evaluation import read_record
from lord.streams import make_stream
from lord.studies.compare import load_all
from lord.studies.engines import Job
from lord.studies.test_compare import ended, lord, wait_for  # noqa: F401
from lord.studies.tune import make_plan, parse_space, tune, write_tuning
from lord.studies.tune.journal import mend
from lord.studies.tune.search import Board, Search, _library
from lord.studies.tune.space import space_of
from lord.training import compose, run

pytest.importorskip("optuna", reason="optuna is not installed")
SMALL = {"width": 8, "epochs": 1, "threads": 1, "network": "cnn"}
LR = ("lr=0.01..0.3:log",)


def plan_of(*methods, space=LR, **options):
    given = SMALL | options.pop("given", {})
    effort = options if {"trials", "flops"} & options.keys() else options | {"trials": 9}
    return make_plan(methods or ["er"], given, parse_space(space), **effort)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lr", "expected NAME=VALUES, such as"),
        ("lr=", "expected NAME=VALUES"),
        ("lr=0.1", "lr needs LOW..HIGH or two different values or more, got '0.1'"),
        ("lr=0.1,0.1", "two different values"),
        ("lr=0.1,,0.2", "two different values"),
        ("lr=0.3..0.01", "expected finite LOW below HIGH, got '0.3..0.01'"),
        ("lr=0.1..nan", "expected finite LOW below HIGH"),
        ("lr=0.1..inf", "expected finite LOW below HIGH"),
        ("lr=a..b", "expected LOW..HIGH, got 'a..b'"),
        ("lr=1..2..3", "expected LOW..HIGH"),
        ("lr=0..0.3:log", "LOW must be above 0 on a log scale"),
        ("lr=0.1..0.3:ln", "after ':' only 'log' is known, got 'ln'"),
        ("lr=-1..0.3", "lr: expected"),
        ("epochs=1..2.5", "epochs: expected int"),
        ("epochs=0..2", "epochs: expected"),
        ("nesterov=0..1", "nesterov has no LOW..HIGH: list its values"),
        ("schedule=a,b", "unknown value of schedule 'a'"),
        ("lrr=0.1..0.2", "unknown setting 'lrr' (did you mean 'lr'?)"),
        ("eer.lr=0.1..0.2", "unknown method 'eer'"),
        ("rho=0.1..0.2", "er has no setting 'rho'"),
        ("validation=0.1..0.2", "validation decides what is measured, not how well"),
        ("er.subset=0.1..0.2", "subset decides what is measured"),
        ("width=4,8", "width is both searched and set"),
    ],
)
def test_a_space_that_cannot_be_is_answered_by_one_line(text, said):
    width = {"width": 8} if text.startswith("width") else {"momentum": 0.9}
    with pytest.raises(UserError) as error:
        make_plan(["er"], width, parse_space([text]), trials=9)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_efforts_and_images_that_cannot_be_are_named():
    for options, said in (
        ({"trials": 1, "flops": 1e9}, "effort: give --trials N or --flops N, one of them"),
        ({"trials": 1}, "trials: expected at least one a method (2), got 1"),
        ({"flops": float("nan")}, "flops: expected a number above 0"),
        ({"flops": -1.0}, "flops: expected a number above 0"),
        ({"trials": 2, "given": {"skip": 0.9, "subset": 0.1}}, "skip: at most 0.8 to hold out"),
        ({"trials": 2, "given": {"validation": 0}}, "validation: 0 holds nothing out; to score"),
        (
            {"trials": 2, "on": "test-stream", "given": {"validation": 0.2, "subset": 0.5}},
            "validation: held-out images and --on test-stream: give one",
        ),
    ):
        with pytest.raises(UserError) as error:
            plan_of("er", "sgd", **options)
        assert said in str(error.value)
    with pytest.raises(UserError, match="methods: er is given twice"):
        plan_of("er", "er:replay=16")
    with pytest.raises(UserError, match="space: lr is given twice"):
        plan_of("er", space=["lr=0.1,0.2", "lr=0.1..0.2"])
    with pytest.raises(UserError, match="space: nothing of it concerns sgd"):
        plan_of("er", "sgd", space=["replay=16,32"])
    with pytest.raises(UserError, match="space: nothing to search"):
        plan_of("er", space=[])


def test_each_method_has_the_part_of_the_space_it_knows_typed_as_its_settings_are():
    space = parse_space(
        [*LR, "epochs=1..3", "replay=16,32", "lord.rho=0.25,1", "nesterov=true,false"]
    )
    both = ["er", "lord"]
    er, own = (
        space_of(name, name, space, {"width": 8, "momentum": 0.9}, None, both) for name in both
    )
    assert set(er) == {"lr", "epochs", "replay", "nesterov"}
    assert set(own) == {*er, "rho"}
    assert (er["epochs"].low, er["epochs"].high) == (1, 3)
    assert isinstance(er["epochs"].low, int)
    assert er["replay"].choices == (16, 32)
    assert own["rho"].choices == (0.25, 1.0)
    assert er["nesterov"].choices == (True, False)


def test_by_default_no_test_image_and_no_later_task_is_looked_at():
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


def test_a_run_that_stops_after_the_first_tasks_has_learnt_them_as_the_whole_run_did(tmp_path):
    whole = run(compose("lord", SMALL | {"candidates": 8}))
    part = run(compose("lord", SMALL | {"candidates": 8, "stop_after": 2}))
    assert part.matrices.class_il == whole.matrices.class_il[:2]
    assert part.matrices.task_il == whole.matrices.task_il[:2]
    with pytest.raises(UserError, match="stop_after: the stream has 5 tasks, got 6"):
        run(compose("er", SMALL | {"stop_after": 6}))


def test_a_search_finds_settings_that_compare_takes_and_a_bad_trial_does_not_end_it(tmp_path):
    plan = plan_of("sgd", "er", space=["lr=0.03,1e30"], given={"epochs": 9}, trials=6)
    said = []
    studies = tune(plan, tmp_path, jobs=2, say=said.append)
    tuning = write_tuning(plan, studies, tmp_path, "lord tune ...")
    with (tmp_path / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4  # of two settings, there is no third trial
    assert said[-1] == "er: all 2 settings there are were tried"
    for own in tuning.methods:
        assert own.trials == 2
        assert own.best == {"lr": 0.03}
        finished = [row for row in rows if row["method"] == own.method and row["end"] == "finished"]
        assert own.failed == 2 - len(finished)
        first = next(row for row in finished)
        record = read_record(tmp_path / own.method / f"trial-{int(first['trial']):04}")
        assert float(first["accuracy"]) == record.headline[0] == own.accuracy
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
def test_each_method_gets_the_same_flops_and_no_trial_is_begun_beyond_them(tmp_path):
    once = run(compose("er", plan_of("er").given | {"lr": 0.03})).training_flops
    plan = plan_of("sgd", "er", flops=2 * 2.5 * once)
    studies = tune(plan, tmp_path, jobs=2, say=lambda _: None)
    spent = {
        name: sum(trial.user_attrs["flops"] for trial in study.trials)
        for name, study in studies.items()
    }
    assert len(studies["er"].trials) == 2
    assert spent["er"] == 2 * once
    assert all(0.5 < own / (2.5 * once) <= 1 for own in spent.values())


def test_what_falls_behind_the_median_at_a_tasks_end_is_stopped_and_paid_for(tmp_path):
    plan = plan_of("er", given={"stop_after": 3, "checkpoint_every": 0}, trials=9)
    search = Search(_library(), plan, "er", tmp_path)
    for _ in range(5):  # those before it, all better than can be
        trial = search.ask()
        for task in range(3):
            trial.report(task, [101.0])
        search.tell(trial, 101.0, None)
    config = compose("er", plan.given)
    board = Board([search], load_all([config]), lambda _: None)
    job = next(board.ask())
    assert isinstance(job, Job)
    seen = []
    for ended_job, error in _run_one(job, board):
        board.tell(ended_job, error)
        seen.append(error)
    assert seen == ["stopped"]
    last = search.study.trials[-1]
    assert last.state.name == "PRUNED"
    assert 1 <= len(last.intermediate_values) < 3
    assert last.user_attrs["flops"] > 0
    assert not list(job.folder.glob("checkpoint*"))


def _run_one(job, board):
    from lord.studies.engines import ENGINES  # noqa: PLC0415

    return ENGINES["local"](iter([job]), slots=1, unwanted=board.unwanted)


def test_where_optuna_is_not_installed_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UserError, match=r"pip install 'lord-cl\[tune\]'"):
        tune(plan_of("er"), tmp_path)


def test_another_search_in_the_same_folder_is_refused(tmp_path):
    Search(_library(), plan_of("er"), "er", tmp_path)
    other = plan_of("er", space=["lr=0.02..0.3:log"])
    with pytest.raises(UserError, match=r"was tuned with lr .* give another --out"):
        Search(_library(), other, "er", tmp_path)


def test_a_journal_torn_by_a_power_cut_is_mended_and_a_foreign_one_is_left_alone(tmp_path):
    Search(_library(), plan_of("er"), "er", tmp_path).ask()
    journal = tmp_path / "journal.log"
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"op_code": 5, "worker')
    mend(journal)
    assert journal.read_bytes() == whole
    journal.write_text("hello\n")
    with pytest.raises(UserError, match="is no search's journal"):
        tune(plan_of("er"), tmp_path)
    assert journal.read_text() == "hello\n"


LINE = "tune --methods er --space lr=0.01..0.3:log --trials 3 --width 8 --threads 1 --jobs 1"


@pytest.mark.slow
def test_after_ctrl_c_the_same_search_goes_on_and_repeats_no_trial(lord, tmp_path):  # noqa: F811
    line = f"{LINE} --epochs 20 --checkpoint-every 0.5 --out {tmp_path}"
    process = lord(line)
    wait_for((tmp_path / "er" / "trial-0000" / "summary.json").exists)
    wait_for((tmp_path / "er" / "trial-0001" / "checkpoint.safetensors").exists)
    os.killpg(process.pid, signal.SIGINT)
    code, _, error = ended(process)
    assert code == 130
    assert error == f"error: interrupted: trials are in {tmp_path}; the same command goes on"
    stamp = (tmp_path / "er" / "trial-0000" / "summary.json").stat().st_mtime_ns
    asked = yaml.safe_load((tmp_path / "er" / "trial-0001" / "config.yaml").read_text())
    code, out, error = ended(lord(line))
    assert code == 0, error
    assert (tmp_path / "er" / "trial-0000" / "summary.json").stat().st_mtime_ns == stamp
    again = yaml.safe_load((tmp_path / "er" / "trial-0001" / "config.yaml").read_text())
    assert again["lr"] == asked["lr"]
    assert len(list((tmp_path / "er").glob("trial-*/summary.json"))) == 3
    assert "er: 3 trials (0 stopped, 0 failed)" in out


def test_of_few_settings_each_is_tried_once_also_by_a_search_that_goes_on(tmp_path):
    space = ["epochs=1..3", "replay=16,32"]
    given = {name: value for name, value in SMALL.items() if name != "epochs"}
    plan = make_plan(["er"], given, parse_space(space), trials=99)
    seen = []
    for _ in range(2):
        search = Search(_library(), plan, "er", tmp_path)
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


def test_settings_are_not_written_over_a_file_of_ones_own(tmp_path):
    (tmp_path / "best.yaml").write_text("lr: 0.1")
    with pytest.raises(UserError, match=r"best.yaml' would be replaced: give another --out"):
        tune(plan_of("er"), tmp_path)
    assert (tmp_path / "best.yaml").read_text() == "lr: 0.1"


def test_where_no_trial_ended_well_no_settings_are_called_the_best(tmp_path):
    plan = plan_of("sgd", space=["lr=1e29,1e30"], given={"epochs": 9}, trials=2)
    studies = tune(plan, tmp_path, jobs=2, say=lambda _: None)
    with pytest.raises(UserError, match="no trial of sgd ended well, the first: the loss became"):
        write_tuning(plan, studies, tmp_path, "lord tune ...")
    assert (tmp_path / "trials.csv").exists()
    assert not (tmp_path / "best.yaml").exists()


def test_settings_that_do_not_go_together_are_a_failed_trial_and_variants_reach_the_end(tmp_path):
    space = ["buffer=32,64", "replay=16,64"]
    plan = plan_of("er:nesterov=true:momentum=0.5", space=space, trials=4)
    said = []
    studies = tune(plan, tmp_path, jobs=2, say=said.append)
    tuning = write_tuning(plan, studies, tmp_path, "lord tune ...")
    assert (tuning.methods[0].trials, tuning.methods[0].failed) == (4, 1)
    assert any("buffer: holds 32, fewer than the 64 that replay draws" in line for line in said)
    best = yaml.safe_load((tmp_path / "best.yaml").read_text())
    assert (best["er.nesterov"], best["er.momentum"]) == (True, 0.5)
    with pytest.raises(UserError, match=r"holds a search of er:nesterov.* too: name all"):
        tune(plan_of("sgd"), tmp_path)


def test_more_tasks_than_there_are_is_found_before_anything_runs(tmp_path):
    with pytest.raises(UserError, match="stop_after: the stream has 5 tasks, got 99"):
        tune(plan_of("er", given={"stop_after": 99}), tmp_path)
    assert not list(tmp_path.iterdir())
