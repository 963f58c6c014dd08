"""The data of the page."""

import json
import re
import shlex
import shutil
from pathlib import Path

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lord.config import convert
from lord.config.types import Groups
from lord.conftest import refused
from lord.evaluation import Study, read_journal, read_record, write_failure, write_table
from lord.reporting import summarise
from lord.reporting.html import gather, write_page
from lord.reporting.html.gather import _tasks
from lord.reporting.html.write import SCRIPTS, encoded, inert, render
from lord.reporting.page import page
from lord.storage import locked
from lord.test_forked import Forked

RESULTS = Path(__file__).parents[4] / "results"


@given(st.text() | st.lists(st.sampled_from(["</script>", "<!--", "<script", "&", "\u2028", "\\"])))
def test_data_in_a_script_element_has_no_html(value):
    text = inert(json.dumps(value, ensure_ascii=False))
    assert json.loads(text) == value
    assert not set("<>&\u2028\u2029") & set(text)


def test_the_page_is_complete_and_no_script_closes_early():
    text = render("{}")
    assert text.count("</script>") == 2
    assert "{{" not in text.replace("${{", "")
    assert len(SCRIPTS) == len(set(SCRIPTS))


def test_all_published_results_can_be_shown():
    if not RESULTS.is_dir():
        pytest.skip("needs a checkout with its results")
    shown = gather(RESULTS)
    kept = [file for file in RESULTS.rglob("runs.jsonl") if file.with_name("study.json").exists()]
    assert len(kept) > 20
    assert {study.name for study in shown.studies} == {
        file.parent.relative_to(RESULTS).as_posix() for file in kept
    }
    for study in shown.studies:
        file = RESULTS / study.name / "runs.jsonl"
        assert len(study.runs) == len(file.read_text().splitlines())
        assert all(run.record and run.command.startswith("lord run ") for run in study.runs)
    assert json.loads(encoded(shown))["title"] == "results"


def test_a_run_shows_its_confusion_and_its_buffer(study):
    (shown,) = gather(study / "lord-seed0").studies
    (run,) = shown.runs
    record = read_record(study / "lord-seed0")
    assert run.classes.names == list("0123456789")
    tasks = [run.classes.confusion[i : i + 2] for i in range(0, 10, 2)]
    hits = [pair[0][2 * task] + pair[1][2 * task + 1] for task, pair in enumerate(tasks)]
    counts = [sum(map(sum, pair)) for pair in tasks]
    right = [100 * hit / count for hit, count in zip(hits, counts, strict=True)]
    assert right == pytest.approx(record.matrices.class_il[-1])
    assert sum(run.classes.held) == record.settings["buffer"]
    assert run.sheet.startswith("data:image/")


def test_a_run_in_progress_is_shown(tmp_path, study):
    folder = tmp_path / "lord-seed0"
    folder.mkdir()
    for name in ("config.yaml", "environment.json"):
        shutil.copy(study / "lord-seed0" / name, folder)
    (run,) = gather(tmp_path).studies[0].runs
    assert (run.label, run.seed, run.record, run.matrices, run.tasks) == ("lord", 0, None, None, 5)
    lines = (study / "lord-seed0" / "metrics.jsonl").read_text().splitlines(keepends=True)
    place = [n for n, line in enumerate(lines) if '"evaluate"' in line][1]
    (folder / "metrics.jsonl").write_text("".join(lines[: place + 1]) + lines[place + 1][:17])
    (run,) = gather(folder).studies[0].runs
    whole = read_record(study / "lord-seed0").matrices
    assert (run.task, run.matrices.class_il) == (2, whole.class_il[:2])
    assert run.step == read_journal(folder).step > 0
    assert run.command == f"lord run --config {folder / 'config.yaml'} --out again"


def test_runs_that_ended_without_a_result_are_not_in_progress(tmp_path, study):
    for name in ("crashed", "killed"):
        (tmp_path / name).mkdir()
        shutil.copy(study / "lord-seed0" / "config.yaml", tmp_path / name)
    write_failure(tmp_path / "crashed", "lower `lr`")
    (tmp_path / "killed" / "lock").touch()
    runs = {run.name: (run.state, run.error) for run in gather(tmp_path).studies[0].runs}
    assert runs == {"crashed": ("failed", "lower `lr`"), "killed": ("stopped", None)}
    with locked(tmp_path / "killed", "running"):
        runs = {run.name: run.state for run in gather(tmp_path).studies[0].runs}
    assert runs == {"crashed": "failed", "killed": "running"}


def test_a_page_tells_how_runs_are_trained(study, tmp_path):
    (shown,) = gather(study).studies
    assert shown.training == "SGD lr 0.03, constant, 1 epoch, batch 32"
    assert {run.training for run in shown.runs} == {""}
    for name, lr in (("er-seed0", 0.5), ("lord-seed0", 0.1)):
        shutil.copytree(study / name, tmp_path / name)
        file = tmp_path / name / "summary.json"
        record = json.loads(file.read_text())
        record["settings"]["lr"], record["uncounted"] = lr, lr / 2
        file.write_text(json.dumps(record))
    (shown,) = gather(tmp_path).studies
    assert {run.label: run.training for run in shown.runs} == {"er": "lr 0.5", "lord": "lr 0.1"}
    assert "(lr). For an equal comparison, run all rows with `lr` 0." in shown.warnings[0]
    assert "er 25%, lord 5%" in shown.warnings[1]


def test_the_command_of_a_run_repeats_it(tmp_path, study):
    (shown,) = gather(study).studies
    run = next(run for run in shown.runs if run.name == "lord-seed1")
    assert run.command == f"lord run --config {study / run.name}/config.yaml --out again"
    assert Forked(*run.command.split()[1:], "--quiet", cwd=tmp_path).wait() == 0
    one, other = (
        yaml.safe_load((folder / "config.yaml").read_text())
        for folder in (study / "lord-seed1", tmp_path / "again")
    )
    assert one == other
    first, second = read_record(study / "lord-seed1"), read_record(tmp_path / "again")
    assert first.matrices.class_il == second.matrices.class_il


def test_single_runs_and_comparisons_are_separate_studies(study, tmp_path):
    shutil.copytree(study, tmp_path / "compare-digits")
    shutil.copytree(study / "er-seed0", tmp_path / "digits-er-seed0")
    shown = gather(tmp_path)
    assert {each.name: len(each.runs) for each in shown.studies} == {
        tmp_path.name: 1,
        "compare-digits": 4,
    }


def test_a_stored_record_is_repeated_from_the_settings_of_its_comparison(study, tmp_path):
    records = [read_record(study / f"{name}-seed1") for name in ("er", "lord")]
    given = {"preset": "digits", "width": 4, "distill": 0.05, "lord.candidates": 10}
    about = Study(command="lord compare ...", given=given, labels=["er", "lord"])
    for name, value in (("summary", records), ("study", about)):
        (tmp_path / f"{name}.json").write_bytes(msgspec.json.encode(value))
    commands = {run.label: run.command for run in gather(tmp_path).studies[0].runs}
    assert commands == {
        "er": "lord run --method er --seed 1 --preset digits --set width=4",
        "lord": "lord run --method lord --seed 1 --preset digits --set width=4 "
        "--set distill=0.05 --set lord.candidates=10",
    }


def test_a_page_shows_runs_with_and_without_a_folder(study, tmp_path):
    records = [read_record(study / f"lord-seed{seed}") for seed in (0, 1)]
    write_table(tmp_path, records)
    shutil.copytree(study / "lord-seed1", tmp_path / "lord-seed1")
    runs = {run.seed: run.classes is not None for run in gather(tmp_path).studies[0].runs}
    assert runs == {0: False, 1: True}  # accuracies by class are read from the folder


def test_a_stored_record_is_repeated_with_its_own_value_of_a_given_setting(study, tmp_path):
    record = read_record(study / "er-seed1")
    about = Study(command="lord compare ...", given={"width": 8, "preset": "digits"})
    for name, value in (("summary", [record]), ("study", about)):
        (tmp_path / f"{name}.json").write_bytes(msgspec.json.encode(value))
    (run,) = gather(tmp_path).studies[0].runs
    assert record.settings["width"] == 4
    assert run.command == "lord run --method er --seed 1 --preset digits --set width=4"


def test_a_stored_record_is_repeated_with_the_classes_of_its_tasks(study, tmp_path):
    record = read_record(study / "er-seed1")
    record.settings["split"] = "((0, 1), (2, 3))"  # as records have it
    about = Study(command="lord compare ...", given={"split": [[0, 1], [2, 3]]})
    for name, value in (("summary", [record]), ("study", about)):
        (tmp_path / f"{name}.json").write_bytes(msgspec.json.encode(value))
    (run,) = gather(tmp_path).studies[0].runs
    words = shlex.split(run.command)
    assert convert("split", words[-1].removeprefix("split="), Groups) == ((0, 1), (2, 3))


@pytest.mark.parametrize(
    ("config", "tasks"),
    [({}, 5), ({"stop_after": 1}, 1), ({"method": "joint"}, 1), ({"split": [[0], [1]]}, 2)],
)
def test_the_tasks_of_a_run_are_those_that_it_learns(config, tasks):
    assert _tasks({"tasks": 5, "method": "er", "stop_after": None, **config}) == tasks


def test_a_record_of_an_earlier_command_has_no_command(study, tmp_path):
    record = read_record(study / "er-seed1")
    about = Study(command="lord compare --methods sgd", given={"width": 8}, labels=["sgd"])
    for name, value in (("summary", [record]), ("study", about)):
        (tmp_path / f"{name}.json").write_bytes(msgspec.json.encode(value))
    assert [run.command for run in gather(tmp_path).studies[0].runs] == [""]
    assert "From another command: er." in page("x", summarise([record]), about, [])


def test_other_files_named_config_yaml_are_not_runs(study, tmp_path):
    shutil.copytree(study, tmp_path / "c")
    for name, text in {"a": "date: 2020-13-45", "b": "on: push", "d": "[1]", "e": "x: ["}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").write_text(text)
    assert [each.name for each in gather(tmp_path).studies] == ["c"]


def test_different_runs_of_a_label_are_not_averaged(study, tmp_path):
    for name, lr in (("a", 0.1), ("b", 0.001)):
        shutil.copytree(study / "er-seed0", tmp_path / name)
        file = tmp_path / name / "summary.json"
        record = json.loads(file.read_text())
        record["settings"]["lr"] = lr
        file.write_text(json.dumps(record))
    (shown,) = gather(tmp_path).studies
    assert sorted(run.row for run in shown.runs) == ["er (lr 0.001)", "er (lr 0.1)"]


def test_a_large_page_leaves_out_classes(study):
    (shown,) = gather(study, heavy=9000).studies
    light = [run for run in shown.runs if run.light]
    assert 0 < len(light) < 4
    assert all(run.classes is None for run in light)


def test_a_folder_without_runs_is_refused(tmp_path):
    with refused("folder", given=tmp_path, problem="has no run"):
        write_page(tmp_path)
    with refused("folder", given=tmp_path / "gone", problem="does not exist"):
        write_page(tmp_path / "gone")
    (tmp_path / "config.yaml").write_text("method: er\npreset: digits\nseed: 0\n")
    (tmp_path / "summary.json").write_bytes(msgspec.json.encode({}))
    with refused(None, problem=re.compile("is not the summary of a run")):
        write_page(tmp_path)
