"""The files of a report, and finding what to report."""

import os
import re
import shutil

import msgspec
import pytest
from PIL import Image

from lord.conftest import refused
from lord.evaluation import Matrices, write_table
from lord.reporting import find_studies, write_report
from lord.reporting.report import find_records
from lord.reporting.test_reporting import RECORDS, record, write


@pytest.mark.parametrize("name", ["README.md", "runs.jsonl"])
def test_files_that_a_report_did_not_make_are_not_replaced(tmp_path, name):
    write(tmp_path, RECORDS)
    write_report(tmp_path, RECORDS)
    write_report(tmp_path, RECORDS)  # a report may replace its files
    (tmp_path / name).write_text('{"my": 1}')
    with refused(None, problem=re.compile(f"{name}' was not made by"), hint="move it away first"):
        write_report(tmp_path, RECORDS)
    assert (tmp_path / name).read_text() == '{"my": 1}'


def test_a_report_needs_only_stored_results(tmp_path):
    write(tmp_path, RECORDS)
    written = write_report(tmp_path, find_records(tmp_path))
    assert {file.name for file in written} == {
        "README.md",
        "runs.jsonl",
        "accuracy_against_flops.png",
        "accuracy_over_tasks.png",
        "accuracy_matrices.png",
    }
    assert len((tmp_path / "runs.jsonl").read_text().splitlines()) == 4
    for file in tmp_path.glob("*.png"):
        with Image.open(file) as picture:
            assert picture.width > 600
            assert len(picture.convert("RGB").getcolors(1 << 20)) > 50  # something is drawn
    assert not list(tmp_path.glob(".*"))


def test_a_single_run_can_be_reported(tmp_path):
    whole = record("joint", 0, 90.0, 9e12, matrices=Matrices([[90.0, 90.0]], [[90.0, 90.0]]))
    write(tmp_path, [*RECORDS, whole])
    write_report(tmp_path, find_records(tmp_path))
    single = tmp_path / "joint-seed0"
    before = (single / "summary.json").read_bytes()
    write_report(single, find_records(single))
    assert (single / "summary.json").read_bytes() == before


def test_a_folder_without_results_is_refused(tmp_path):
    with refused("folder", given=tmp_path, problem="has no finished run"):
        find_studies(tmp_path)
    with refused("folder", given=tmp_path / "gone", problem="does not exist"):
        find_studies(tmp_path / "gone")
    (tmp_path / "summary.json").write_text("[{}]")
    with refused(None, problem=re.compile(r"summary\.json' is not the table of a comparison")):
        find_studies(tmp_path)
    (tmp_path / "config.yaml").write_text("")
    with refused(None, problem=re.compile(r"the run in '.*' is incomplete: no accuracy\.json")):
        find_studies(tmp_path)


def test_comparisons_are_found_with_and_without_the_folders_of_their_runs(tmp_path):
    write(tmp_path / "a", RECORDS)
    write_report(tmp_path / "a", RECORDS)
    (tmp_path / "deep" / "b").mkdir(parents=True)
    write_table(tmp_path / "deep" / "b", RECORDS[:2])
    found = find_studies(tmp_path)
    assert {folder.name: len(records) for folder, records in found.items()} == {"a": 4, "b": 2}
    assert list(find_studies(tmp_path / "deep" / "b")) == [tmp_path / "deep" / "b"]
    write(tmp_path, [record("single", 0, 50.0, 1e12)])  # next to them
    found = find_studies(tmp_path)
    assert {folder.name: len(records) for folder, records in found.items()} == {
        "a": 4,
        "b": 2,
        tmp_path.name: 1,
    }


def test_runs_whose_folders_are_gone_stay_in_the_report(tmp_path):
    write(tmp_path, RECORDS)
    write_report(tmp_path, find_records(tmp_path))
    whole = (tmp_path / "README.md").read_bytes()
    shutil.rmtree(tmp_path / "lord-seed1")
    write_report(tmp_path, find_records(tmp_path))
    assert (tmp_path / "README.md").read_bytes() == whole
    (again := tmp_path / "lord-seed1").mkdir()  # run again, it replaces what is stored of it
    (again / "summary.json").write_bytes(msgspec.json.encode(record("lord", 1, 73.0, 2e12)))
    (again / "accuracy.json").touch()
    assert [r.class_il for r in find_records(tmp_path) if r.method == "lord"] == [70.0, 73.0]


def test_the_earlier_result_of_a_run_that_is_made_again_does_not_count(tmp_path):
    write(tmp_path, RECORDS)
    write_report(tmp_path, find_records(tmp_path))
    shutil.rmtree(tmp_path / "lord-seed1")
    (tmp_path / "lord-seed1").mkdir()
    (tmp_path / "lord-seed1" / "config.yaml").write_text("method: lord\n")
    assert [r.seed for r in find_records(tmp_path) if r.method == "lord"] == [0]


def test_the_folder_of_an_older_comparison_can_be_reported_again(tmp_path):
    (tmp_path / "summary.json").write_bytes(msgspec.json.encode(RECORDS))
    assert find_studies(tmp_path) == {tmp_path: sorted(RECORDS, key=lambda r: r.seed)}
    write_report(tmp_path, find_records(tmp_path))
    assert (tmp_path / "README.md").read_text().count("| lord | 2 | 70.5 ± 0.7* |") == 1
    assert find_records(tmp_path) == sorted(RECORDS, key=lambda r: r.seed)
    (tmp_path / "summary.json").write_text("[]")  # the newer table is read
    assert len(find_records(tmp_path)) == 4


def test_a_folder_may_have_any_name(tmp_path):
    folder = tmp_path / os.fsdecode(b"bad\xff")
    write(folder, RECORDS)
    write_report(folder, RECORDS)
    assert (folder / "README.md").read_text().startswith("# bad\ufffd\n")
