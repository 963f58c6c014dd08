import csv
import re
import sys
from pathlib import Path

import pytest

import lord
from lord.conftest import refused
from lord.reporting import summarise, write_csv, write_latex
from lord.reporting.export import SPECIAL, escape, latex, tidy
from lord.reporting.test_reporting import RECORDS, record, write


def test_every_run_is_a_row_of_the_csv_file(tmp_path):
    file = tmp_path / "runs.csv"
    er = record("er", 0, 50.0, 1e12, settings={"lr": 0.1, "data": 'a "quoted", name'})
    for _ in range(2):  # a report may replace its file
        write_csv({tmp_path / "study": [*RECORDS, er]}, file)
    with file.open(newline="") as text:
        rows = list(csv.DictReader(text))
    assert [(row["row"], row["seed"], row["lr"]) for row in rows] == [
        ("er", "0", "0.1"),
        ("lord", "0", ""),
        ("lord", "1", ""),
        ("der++", "0", ""),
        ("der++", "1", ""),
    ]
    assert rows[0]["data"] == 'a "quoted", name'
    assert float(rows[2]["headline_class_il"]) == 71.0
    assert rows[0]["study"] == str(tmp_path / "study")


def test_a_study_is_a_data_frame(tmp_path):
    pandas = pytest.importorskip("pandas")
    write(tmp_path, RECORDS)
    runs = lord.frame(tmp_path)
    assert dict(runs.groupby("row").headline_class_il.mean()) == {"der++": 62.0, "lord": 70.5}
    assert pandas.api.types.is_integer_dtype(runs.training_flops)
    pandas.testing.assert_frame_equal(
        runs.drop(columns="study"),
        lord.frame(RECORDS).drop(columns="study"),
        check_dtype=False,  # a file has 5.0 where these records have 5
    )


@pytest.mark.parametrize(("study", "given"), [(["c1"], "c1"), (None, None), ([None], None)])
def test_what_is_no_study_is_no_data_frame(study, given):
    pytest.importorskip("pandas")
    with refused("study", given=given, allowed=re.compile("folder, or records")):
        lord.frame(study)


def test_without_pandas_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with refused(None, problem=re.compile("pandas"), hint="pip install pandas"):
        lord.frame(RECORDS)


def test_the_latex_table_has_means_and_deviations_and_its_best_values_are_bold():
    table = latex("study", summarise(RECORDS))
    assert r"lord & $\mathbf{70.5} \pm 0.7$ & $\mathbf{95.0}$ & $\mathbf{5.0}$" in table
    assert r"der++ & $62.0 \pm 2.8$ & $\mathbf{95.0}$" in table  # a tie
    assert r"$\mathbf{2.00 \times 10^{12}}$" in table
    assert "% forgetting: drop of the Class-IL accuracy" in table
    lines = [line for line in table.splitlines() if not line.startswith("%")]
    assert lines[:2] == [r"\begin{tabular}{lrrrrr}", r"\toprule"]
    assert {line.count(" & ") for line in lines if line.endswith(r"\\")} == {5}


def test_the_latex_table_can_compare_each_row_with_a_baseline():
    table = latex("study", summarise(RECORDS), "der++")
    assert r"state & to der++ & $p$ \\" in table
    assert r"& $+8.5\ [-" in table
    assert r"]$ & 0.5 \\" in table
    assert r"& -- & -- \\" in table
    assert "With 2 seeds, the p value" in table


def test_a_run_with_flops_to_spend_has_no_epochs_in_a_tidy_table():
    columns, (row,) = tidy({Path(): [record("er", 0, 50.0, 1e9, settings={"flops_per_task": 1e9})]})
    assert row[columns.index("epochs")] is None


@pytest.mark.parametrize("character", SPECIAL)
def test_no_character_of_a_name_has_a_meaning_in_latex(character):
    name = f"a{character}b"
    escaped = SPECIAL[character]
    runs = [record(name, 0, 60.0, 1e12, settings={"lr": 0.1}), record("er", 0, 50.0, 1e12)]
    table = latex(name, summarise(runs))
    assert f"\na{escaped}b & " in table
    assert escape(name) == f"a{escaped}b"
    rest = re.sub(r"^%.*$", "", table, flags=re.M).replace(escaped, "")
    assert f"a{character}b" not in rest


@pytest.mark.parametrize("name", ["[x]", "*x"])
def test_a_name_is_no_argument_of_the_rule_above_it(name):
    runs = [record(name, 0, 60.0, 1e12, settings={"lr": 0.1}), record("er", 0, 50.0, 1e12)]
    assert f"\n{{}}{name} & " in latex("x", summarise(runs))


def test_a_share_of_flops_that_is_not_counted_is_a_column():
    runs = [record("er", 0, 60.0, 1e12, uncounted=0.56), record("sgd", 0, 50.0, 1e12)]
    table = latex("study", summarise(runs))
    assert r"& not counted \\" in table
    assert r"& 56\% \\" in table


def test_only_tables_of_a_report_are_replaced(tmp_path):
    for write_table, name in ((write_csv, "a.csv"), (write_latex, "a.tex")):
        (tmp_path / name).write_text("mine")
        with refused(None, problem=re.compile(f"{name}' was not made by")):
            write_table({tmp_path: RECORDS}, tmp_path / name)
        assert (tmp_path / name).read_text() == "mine"
        with refused(None, problem=re.compile("cannot write")):
            write_table({tmp_path: RECORDS}, tmp_path / "missing" / name)
