import json
import re

import msgspec
import pytest

from lord.conftest import refused
from lord.evaluation import Matrices, RunRecord, read_table, write_table

NOISY = 92.30000305175781  # 92.3 in float32
MATRICES = Matrices([[NOISY], [45.349998474121094, 17.0]], [[NOISY], [80.0, 90.0]])


def record(**changes):
    values = {each.name: 0 for each in msgspec.structs.fields(RunRecord) if each.required}
    values |= {"method": "er", "preset": "digits", "statistics": "trained", "forgetting": None}
    values |= {"class_il": NOISY, "training_flops": 724902702272, "wall_s": 40.401319477998186}
    values |= {"settings": {"lr": 0.0466272123456789}, "matrices": MATRICES}
    return RunRecord(**(values | changes))


def test_a_table_keeps_every_measure_exactly_and_four_decimals_of_matrices(tmp_path):
    runs = [record(seed=0), record(seed=1, label="tuned", variant={}, per_class=[NOISY, None])]
    write_table(tmp_path, runs)
    found = read_table(tmp_path)
    assert found[0].matrices.class_il == [[92.3], [45.35, 17.0]]
    assert [msgspec.structs.replace(each, matrices=MATRICES) for each in found] == runs


def test_a_line_of_a_table_is_one_run_without_empty_fields(tmp_path):
    write_table(tmp_path, [record(seed=0), record(seed=1)])
    lines = (tmp_path / "runs.jsonl").read_text().splitlines()
    assert [json.loads(line)["seed"] for line in lines] == [0, 1]
    values = json.loads(lines[0])
    assert values["training_flops"] == 724902702272
    assert values["forgetting"] is None  # a record must have it
    assert not {"per_class", "warnings", "variant"} & values.keys()
    assert values["matrices"].keys() == {"class_il", "task_il"}


def test_the_records_of_an_older_comparison_are_read(tmp_path):
    assert read_table(tmp_path) == []
    (tmp_path / "summary.json").write_bytes(msgspec.json.encode([record(seed=3)]))
    assert read_table(tmp_path) == [record(seed=3)]
    write_table(tmp_path, [record(seed=4)])
    assert [each.seed for each in read_table(tmp_path)] == [4]


@pytest.mark.parametrize("text", ['{"method": "er"}\n', "[]\n", "no JSON"])
def test_a_file_that_is_no_table_is_refused(tmp_path, text):
    (tmp_path / "runs.jsonl").write_text(text)
    with refused(None, problem=re.compile(r"runs\.jsonl' is not the table of a comparison")):
        read_table(tmp_path)
