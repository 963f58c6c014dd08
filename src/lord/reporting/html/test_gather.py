"""What goes into the page."""

import json
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lord.config import UserError
from lord.evaluation import read_journal, read_record
from lord.reporting.html import gather, write_page
from lord.reporting.html.conftest import LORD
from lord.reporting.html.write import SCRIPTS, encoded, inert, render

RESULTS = Path(__file__).parents[4] / "results"


@given(st.text() | st.lists(st.sampled_from(["</script>", "<!--", "<script", "&", "\u2028", "\\"])))
def test_data_in_a_script_element_is_itself_and_no_html(value):
    text = inert(json.dumps(value, ensure_ascii=False))
    assert json.loads(text) == value
    assert not set("<>&\u2028\u2029") & set(text)


def test_the_page_is_whole_and_closes_no_script_of_its_own():
    page = render("{}")
    assert page.count("</script>") == 2
    assert "{{" not in page.replace("${{", "")
    assert len(SCRIPTS) == len(set(SCRIPTS))


def test_all_kept_results_can_be_shown():
    if not RESULTS.is_dir():
        pytest.skip("needs a checkout with its results")
    page = gather(RESULTS)
    kept = [file for file in RESULTS.rglob("summary.json") if file.with_name("study.json").exists()]
    assert {study.name for study in page.studies} == {
        file.parent.relative_to(RESULTS).as_posix() for file in kept
    }
    for study in page.studies:
        file = RESULTS / study.name / "summary.json"
        assert len(study.runs) == len(json.loads(file.read_bytes()))
        assert all(run.record and run.command.startswith("lord run ") for run in study.runs)
    assert json.loads(encoded(page))["title"] == "results"


def test_a_run_leaves_the_confusion_of_its_classes_and_a_look_at_its_buffer(study):
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


def test_a_run_in_progress_is_shown_with_what_it_has_written(tmp_path, study):
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


def test_the_command_of_a_run_makes_that_run(tmp_path, study):
    (shown,) = gather(study).studies
    run = next(run for run in shown.runs if run.name == "lord-seed1")
    words = [*LORD, *run.command.split()[1:], "--quiet", "--out", str(tmp_path / "again")]
    words += ["--threads", "1"]  # as beside others
    assert subprocess.run(words).returncode == 0
    one, other = (
        yaml.safe_load((folder / "config.yaml").read_text()) | {"threads": None}
        for folder in (study / "lord-seed1", tmp_path / "again")
    )
    assert one == other
    first, second = read_record(study / "lord-seed1"), read_record(tmp_path / "again")
    assert first.matrices.class_il == second.matrices.class_il


def test_loose_runs_and_comparisons_below_a_folder_are_told_apart(study, tmp_path):
    shutil.copytree(study, tmp_path / "compare-digits")
    shutil.copytree(study / "er-seed0", tmp_path / "digits-er-seed0")
    page = gather(tmp_path)
    assert {each.name: len(each.runs) for each in page.studies} == {
        tmp_path.name: 1,
        "compare-digits": 4,
    }


def test_a_comparisons_command_is_left_what_the_runs_method_knows(tmp_path):
    line = "compare --methods sgd,er,lord --buffer 100 --set draws=1 --set er.replay=8 --seeds 1"
    words = [*LORD, *line.split(), "--width", "8", "--epochs", "1", "--out", str(tmp_path / "c")]
    assert subprocess.run(words).returncode == 0
    (shown,) = gather(tmp_path / "c").studies
    commands = {run.label: run.command for run in shown.runs}
    assert commands["sgd"] == "lord run --width 8 --epochs 1 --method sgd --seed 0"
    assert "--buffer 100 --set er.replay=8 --width 8" in commands["er"]
    assert "--set draws=1" in commands["lord"]


def test_a_run_of_an_earlier_comparison_is_not_given_the_last_ones_command(tmp_path):
    for method, epochs in (("er", 1), ("sgd", 2)):
        line = f"compare --methods {method} --seeds 1 --width 4 --epochs {epochs} --stop-after 1"
        words = [*LORD, *line.split(), "--out", str(tmp_path / "c")]
        assert subprocess.run(words).returncode == 0
    (shown,) = gather(tmp_path / "c").studies
    commands = {run.label: run.command for run in shown.runs}
    assert "--epochs 2 --stop-after 1 --method sgd" in commands["sgd"]
    config = tmp_path / "c" / "er-seed0" / "config.yaml"
    assert commands["er"] == f"lord run --config {config} --out again"
    assert subprocess.run([*LORD, "report", str(tmp_path / "c")]).returncode == 0
    assert "Made otherwise, as their folders say: er." in (tmp_path / "c/README.md").read_text()


def test_other_files_of_that_name_are_no_runs(study, tmp_path):
    shutil.copytree(study, tmp_path / "c")
    for name, text in {"a": "date: 2020-13-45", "b": "on: push", "d": "[1]", "e": "x: ["}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").write_text(text)
    assert [each.name for each in gather(tmp_path).studies] == ["c"]


def test_unlike_runs_of_a_label_are_not_averaged(study, tmp_path):
    for name, lr in (("a", 0.1), ("b", 0.001)):
        shutil.copytree(study / "er-seed0", tmp_path / name)
        file = tmp_path / name / "summary.json"
        record = json.loads(file.read_text())
        record["settings"]["lr"] = lr
        file.write_text(json.dumps(record))
    (shown,) = gather(tmp_path).studies
    assert sorted(run.row for run in shown.runs) == ["er (lr=0.001)", "er (lr=0.1)"]


def test_a_large_page_goes_without_what_is_heavy(study):
    (shown,) = gather(study, heavy=9000).studies
    light = [run for run in shown.runs if run.light]
    assert 0 < len(light) < 4
    assert all(run.classes is None for run in light)


def test_a_folder_without_runs_is_named(tmp_path):
    with pytest.raises(UserError, match="no run in"):
        write_page(tmp_path)
    with pytest.raises(UserError, match="no such folder"):
        write_page(tmp_path / "gone")
    (tmp_path / "config.yaml").write_text("method: er\npreset: digits\nseed: 0\n")
    (tmp_path / "summary.json").write_bytes(msgspec.json.encode({}))
    with pytest.raises(UserError, match="is not a run's summary"):
        write_page(tmp_path)
