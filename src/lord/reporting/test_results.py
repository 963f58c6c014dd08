"""The studies in results/: tables, pages and the list of their commands."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lord.reporting import find_studies, summarise
from lord.reporting.report import MADE, page_of

ROOT = Path(__file__).parents[3]
RESULTS = ROOT / "results"
pytestmark = pytest.mark.skipif(not RESULTS.is_dir(), reason="needs a checkout with its results")


@pytest.fixture(scope="module")
def evidence():
    found = importlib.util.spec_from_file_location("evidence", ROOT / "benchmarks" / "evidence.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_every_page_that_a_report_made_follows_from_its_table():
    made = [f for f in RESULTS.rglob("README.md") if MADE in f.read_text()]
    studies = find_studies(RESULTS)
    assert len(made) > 20
    for page in made:
        rows = summarise(studies[page.parent])
        assert page.read_text() == page_of(page.parent, rows), f"{page}: run 'make pages'"


def test_no_page_shows_a_picture_that_a_checkout_lacks():
    for page in RESULTS.rglob("*.md"):
        for target in re.findall(r"!\[[^]]*\]\(([^)]+)\)", page.read_text()):
            assert target.startswith("https://"), f"{page}: run 'make pages', which drops {target}"


def test_each_folder_is_listed_with_what_it_answers_and_a_command(evidence):
    listed = list(evidence.studies(RESULTS))
    folders = {folder.name for folder in RESULTS.iterdir() if folder.is_dir()}
    assert {Path(study.name).parts[0] for study in listed} == folders
    for study in listed:
        assert study.answers, f"{study.name}: add a row to the table in results/README.md"
        assert study.command.startswith(("lord ", "python benchmarks/", "make "))
    scripts = {word for s in listed for word in re.findall(r"benchmarks/\w+\.py", s.command)}
    assert len(scripts) > 10
    assert all((ROOT / script).is_file() for script in scripts)


def test_the_cost_of_a_study_is_the_sum_over_its_runs(evidence):
    (front,) = [s for s in evidence.studies(RESULTS) if s.name == "front-s-cifar10"]
    seconds = sum(
        record.wall_s for record in find_studies(RESULTS / front.name)[RESULTS / front.name]
    )
    assert front.hours == pytest.approx(seconds / 3600)
    assert f"{seconds / 3600:.2f} h" in str(front)


def test_threads_and_files_without_times_count_in_the_cost(evidence, tmp_path):
    (tmp_path / "README.md").write_text("| a, b | why |\n| c | how |\n")
    for name, found in {
        "a/study": {"command": "lord compare", "given": {"threads": 2}},
        "b/b": {"command": "make b", "environment": {"processor": "P", "cores": 4}},
        "c/study": {"command": "lord run"},
        "c/one": {"record": {"wall_s": 1800.0, "step_s": 9.0}},
    }.items():
        file = tmp_path / f"{name}.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(found))
    (tmp_path / "a" / "runs.jsonl").write_text('{"wall_s": 3600}\n{"wall_s": 1800}\n')
    assert [str(study) for study in evidence.studies(tmp_path)] == [
        "a | 3.00 h | - | why | lord compare",
        "b | not recorded | P, 4 cores | why | make b",
        "c | 0.50 h | - | how | lord run",
    ]


def test_the_list_needs_only_the_standard_library(evidence):
    command = [sys.executable, "-I", "-S", evidence.__file__]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == len(list(evidence.studies(RESULTS)))


@pytest.mark.slow
def test_each_quoted_figure_follows_from_the_records_and_a_wrong_one_is_named(tmp_path):
    for path in ("benchmarks", "docs", "results"):
        shutil.copytree(ROOT / path, tmp_path / path)
    page = tmp_path / "README.md"
    shutil.copy(ROOT / "README.md", page)

    def answer(*command):
        whole = [sys.executable, "-EsS", *command]  # without installed packages
        done = subprocess.run(whole, cwd=tmp_path, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout

    tables = "benchmarks/recompute.py", "results/equal-budgets"
    assert answer(*tables)[0] == 0
    assert answer("benchmarks/recompute_quotes.py")[0] == 0
    page.write_text(page.read_text() + "\nIt has 12.3 ± 4.5, which is 6.7 more (5.6 to 7.8).\n")
    code, said = answer("benchmarks/recompute_quotes.py")
    assert code == 1
    assert "12.3 ± 4.5 is in no study" in said
    assert "6.7 (5.6 to 7.8) is in no study" in said
    study = tmp_path / "results" / "equal-budgets" / "sprites" / "README.md"
    before, mark, after = study.read_text().partition("<!-- sprites: accuracy -->")
    study.write_text(before + mark + re.sub(r"[0-9.]+ ±", "1.2 ±", after, count=1))
    code, said = answer(*tables)
    assert code == 1
    assert re.search(r"sprites: lord at \S+: printed 1\.2 ±", said)
