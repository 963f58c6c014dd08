import json

import msgspec
import pytest
from PIL import Image

from lord.config import UserError
from lord.evaluation import Matrices, RunRecord
from lord.reporting import find_records, markdown, summarise, write_report


def record(method, seed, class_il, flops, **changes):
    matrix = [[90.0], [class_il - 10, class_il + 10]]
    values = dict.fromkeys(RunRecord.__struct_fields__, 0)
    values |= {"method": method, "preset": "digits", "seed": seed, "statistics": "trained"}
    values |= {"class_il": class_il, "task_il": 95.0, "training_flops": int(flops), "settings": {}}
    values |= {"class_il_recomputed": None, "task_il_recomputed": None, "forgetting": 5.0}
    return RunRecord(**(values | {"matrices": Matrices(matrix, matrix)} | changes))


RECORDS = [
    record("der++", 0, 60.0, 3e12),
    record("der++", 1, 64.0, 3e12),
    record("lord", 0, 70.0, 2e12),
    record("lord", 1, 71.0, 2e12),
]


def write(folder, records):
    for each in records:
        own = folder / f"{each.method}-seed{each.seed}"
        own.mkdir(parents=True)
        (own / "summary.json").write_bytes(msgspec.json.encode(each))
        (own / "accuracy.json").write_bytes(msgspec.json.encode(each.matrices))


def test_the_table_has_means_deviations_and_costs_relative_to_derpp():
    table = markdown(summarise(RECORDS))
    lord, derpp = table.splitlines()[2:4]  # the cheapest first
    assert lord.startswith("| lord | 2 | 70.5 ± 0.7* | 95.0 ± 0.0 | - |")
    assert "| 2e+12 | 0.67 |" in lord
    assert derpp.startswith("| der++ | 2 | 62.0 ± 2.8* |")
    assert "multiply-add = 2" in table


def test_the_star_marks_the_headline():
    again = {"statistics": "recomputed", "class_il_recomputed": 66.0, "task_il_recomputed": 96.0}
    table = markdown(summarise([record("er", 0, 60.0, 1e12, **again)]))
    assert "| er | 1 | 60.0 | 95.0 | 66.0* | 96.0 |" in table


def test_a_report_is_made_from_stored_results_alone(tmp_path):
    write(tmp_path, RECORDS)
    written = write_report(tmp_path, find_records(tmp_path))
    assert {file.name for file in written} == {
        "table.md",
        "summary.json",
        "accuracy_against_flops.png",
        "accuracy_over_tasks.png",
        "accuracy_matrices.png",
    }
    assert len(json.loads((tmp_path / "summary.json").read_text())) == 4
    for file in tmp_path.glob("*.png"):
        with Image.open(file) as picture:
            assert picture.width > 600
            assert len(picture.convert("RGB").getcolors(1 << 20)) > 50  # something is drawn
    assert not list(tmp_path.glob(".*"))


def test_one_run_can_be_reported_too_and_joint_training_beside_it(tmp_path):
    whole = record("joint", 0, 90.0, 9e12, matrices=Matrices([[90.0, 90.0]], [[90.0, 90.0]]))
    write(tmp_path, [*RECORDS, whole])
    write_report(tmp_path, find_records(tmp_path))
    single = tmp_path / "joint-seed0"
    before = (single / "summary.json").read_bytes()
    write_report(single, find_records(single))
    assert (single / "summary.json").read_bytes() == before


def test_a_folder_without_results_is_named(tmp_path):
    with pytest.raises(UserError, match="no finished run in"):
        find_records(tmp_path)
    with pytest.raises(UserError, match="no such folder"):
        find_records(tmp_path / "gone")
