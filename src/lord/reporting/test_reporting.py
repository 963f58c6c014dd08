import io
import itertools
import random
import re

import msgspec
import pytest
from rich.console import Console

from lord.conftest import refused
from lord.evaluation import Matrices, RunRecord, Study
from lord.reporting import (
    against,
    caution,
    class_table,
    markdown,
    notes,
    paired,
    summarise,
    terminal,
    write_report,
)
from lord.reporting.page import page
from lord.reporting.statistics import permutation_p


def record(method, seed, class_il, flops, **changes):
    matrix = [[90.0], [class_il - 10, class_il + 10]]
    values = {each.name: 0 for each in msgspec.structs.fields(RunRecord) if each.required}
    values |= {"method": method, "preset": "digits", "seed": seed, "statistics": "trained"}
    values |= {"class_il": class_il, "task_il": 95.0, "training_flops": int(flops), "settings": {}}
    values |= {"label": method, "epochs": 1, "variant": None}
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


def test_the_table_shows_means_deviations_and_costs_relative_to_derpp():
    table = markdown(summarise(RECORDS))
    lord, derpp = table.splitlines()[2:4]  # the cheapest method comes first
    assert lord.startswith("| lord | 2 | 70.5 ± 0.7* | 95.0 ± 0.0 | - |")
    assert "| 2e+12 | 0.667 |" in lord
    assert derpp.startswith("| der++ | 2 | 62.0 ± 2.8* |")
    assert "a multiply-add is 2 FLOPs" in table


def test_different_runs_of_a_method_are_not_averaged(tmp_path):
    longer = [[90.0], [60.0, 80.0], [50.0, 60.0, 70.0]]
    records = [
        record("er", 0, 60.0, 1e12, params=100),
        record("er", 0, 70.0, 2e12, params=200),
        record("er", 1, 65.0, 1e12, params=100, preset="images", matrices=Matrices(longer, longer)),
        record("lord", 0, 70.0, 2e12),
    ]
    rows = summarise(records)
    assert [len(row.records) for row in rows] == [1, 1, 1, 1]
    assert {row.name for row in rows} == {
        "er (parameters 100, preset digits)",
        "er (parameters 200, preset digits)",
        "er (parameters 100, preset images)",
        "lord",
    }
    assert "er:parameters=100:preset=digits:tasks=2" in [row.label for row in rows]
    write_report(tmp_path, records)


def test_runs_with_other_settings_and_repeated_runs_get_separate_rows():
    runs = [
        record("er", 0, 60.0, 1e12, settings={"lr": 0.1}),
        record("er", 0, 40.0, 1e12, settings={"lr": 0.001}),
        record("er", 0, 60.0, 1e12, settings={"lr": 0.1}),
    ]
    assert {row.name: len(row.records) for row in summarise(runs)} == {
        "er (lr 0.1)": 1,
        "er (lr 0.001)": 1,
        "er (lr 0.1, repeat 2)": 1,
    }
    mixed = [record("er", 1, 50.0, 1e12, settings={}), runs[0]]  # the first from an older version
    assert [len(row.records) for row in summarise(mixed)] == [2]


def test_seeds_with_other_image_counts_are_one_row():
    grown = {"network": "resnet18", "width": 16, "bytes": 6e5}
    runs = [
        record("lord+", seed, 60.0, 1e12, params=100 + seed, settings=grown | {"buffer": 90 + seed})
        for seed in range(3)
    ]
    (row,) = summarise(runs)
    assert (row.name, len(row.records)) == ("lord+", 3)


def test_passes_for_a_budget_split_a_row_only_with_a_budget():
    def rows(method, budget):
        each = enumerate((8.0, 50.0))
        given = [(seed, {"passes": passes, "flops_per_task": budget}) for seed, passes in each]
        return summarise([record(method, s, 60.0, 1e12, settings=own) for s, own in given])

    assert [len(rows("lord", None)), len(rows("lord", 1e11)), len(rows("gdumb", None))] == [1, 2, 2]


def test_a_reference_without_flops_has_no_ratio():
    table = markdown(summarise([record("ncm", 0, 60.0, 0), record("er", 0, 60.0, 1e12)]))
    assert "| 1e+12 | - |" in table


def test_a_warning_names_the_share_of_flops_that_is_not_counted():
    (row,) = summarise([record("er", 0, 60.0, 1e12, uncounted=0.56)])
    assert "Missing share of a step's operations: er 56%." in page("x", [row], None, [])
    (row,) = summarise([record("er", 0, 60.0, 1e12)])
    assert "Not all FLOPs" not in page("x", [row], None, [])


def test_the_star_marks_the_headline():
    again = {"statistics": "recomputed", "class_il_recomputed": 66.0, "task_il_recomputed": 96.0}
    table = markdown(summarise([record("er", 0, 60.0, 1e12, **again)]))
    assert "| er | 1 | 60.0 | 95.0 | 66.0* | 96.0 |" in table


def test_the_page_shows_where_its_figures_come_from(tmp_path):
    write(tmp_path, RECORDS)
    study = Study(command="lord compare --seeds 2", commits=["abc"], against="lord")
    (tmp_path / "study.json").write_bytes(msgspec.json.encode(study))
    write_report(tmp_path, RECORDS)
    text = (tmp_path / "README.md").read_text()
    assert "    lord compare --seeds 2\n" in text
    assert "commit: abc" in text
    assert "## Compared with lord" in text
    assert "| der++ | 2 | -8.5 | -27.6 to +10.6 | 0.5 | 1.50 |" in text
    assert "With 2 seeds, the p value of a paired permutation test is at least 0.5" in text
    (tmp_path / "study.json").write_text("{}")
    with refused(None, problem=re.compile("is not the description of a comparison")):
        write_report(tmp_path, RECORDS)


def test_the_permutation_test_is_exact():
    source = random.Random(3)
    gaps = [source.gauss(1, 2) for _ in range(7)]
    rows = summarise(
        [record("a", seed, 50 + gap, 1e12) for seed, gap in enumerate(gaps)]
        + [record("b", seed, 50.0, 2e12) for seed in range(7)]
    )
    found = paired(rows[0], rows[1], lambda r: r.class_il)
    flips = [
        sum(s * g for s, g in zip(signs, gaps, strict=True))
        for signs in itertools.product((1, -1), repeat=7)
    ]
    wanted = sum(abs(total) >= abs(sum(gaps)) - 1e-9 for total in flips) / len(flips)
    assert found.p == pytest.approx(wanted)
    assert found.low < found.mean < found.high


def test_sums_that_differ_by_rounding_are_ties():
    ours = [91.15, 93.85, 95.15, 96.75, 92.4, 96.8, 93.15]
    theirs = [90.9, 93.55, 95.1, 96.7, 92.45, 96.6, 92.95]
    gaps = [a - b for a, b in zip(ours, theirs, strict=True)]
    assert permutation_p(gaps) == pytest.approx(0.0625)  # counted in steps of 0.05 points


def test_of_many_seeds_permutations_are_sampled():
    source = random.Random(1)
    gaps = [source.gauss(0.5, 2) for _ in range(41)]
    assert permutation_p(gaps) == pytest.approx(permutation_p(gaps[:40]), abs=0.1)
    assert permutation_p([1.0] * 41) == 1 / 65537


def test_differences_are_taken_over_common_seeds_only():
    rows = summarise(
        [record("a", seed, 60.0 + seed, 1e12) for seed in (0, 1, 4)]
        + [record("b", seed, 50.0, 2e12) for seed in (1, 4, 5)]
    )
    found = paired(rows[0], rows[1], lambda r: r.class_il)
    assert (found.seeds, found.mean) == (2, 12.5)
    assert caution([2]).startswith("With 2 seeds")
    assert caution([3, 1]).startswith("A row of one seed has no p value. With 3 seeds")
    assert caution([6, 8]) is None


def test_budgets_of_one_method_are_one_curve(tmp_path):
    changes = [{"label": f"er:epochs={n}", "epochs": n} for n in (1, 5)]
    rows = summarise([record("er", 0, 40.0, 1e12 * c["epochs"], **c) for c in changes])
    assert [row.name for row in rows] == ["er (epochs 1)", "er (epochs 5)"]
    assert {row.curve for row in rows} == {"er"}


def test_variants_have_short_names_and_a_table_of_their_settings():
    label = "der++:lr=0.03:momentum=0:optimizer=sgd"
    runs = [record("der++", 0, 60.0, 1e12, label=label), record("der++", 0, 62.0, 2e12)]
    table = markdown(summarise(runs))
    assert "| der++ (lr 0.03) | 1 | 60.0*" in table
    assert "| der++ (lr 0.03) | lr 0.03, momentum 0, optimizer sgd |" in table
    assert "  der++ (lr 0.03): lr 0.03, momentum 0, optimizer sgd" in notes(summarise(runs))
    assert label not in page("x", summarise(runs), None, [])


def test_a_named_variant_keeps_its_name():
    named = record("der++", 0, 60.0, 1e12, label="tuned", variant={"lr": 0.03})
    (row,) = summarise([named])
    assert (row.name, row.variant.about, row.label) == (
        "tuned",
        "der++, lr 0.03",
        "tuned=der++:lr=0.03",
    )


def test_names_and_columns_fit_a_narrow_terminal_without_breaking_words():
    label = "der++:momentum=0.9:weight_decay=0.001"
    runs = [
        record("lord-expected", 0, 60.0, 1e12),
        *(record("der++", 0, 60.0 + n, 2e12, label=f"{label}:lr=0.{n}") for n in (1, 2)),
        record("strong", 0, 60.0, 3e12, label="strong", variant={"lr": 0.1}),
    ]
    for width in (40, 60, 80, 120):
        text = io.StringIO()
        console = Console(width=width, file=text)
        console.print(terminal(summarise(runs), width))
        lines = [line.rstrip() for line in text.getvalue().splitlines()]
        assert all(len(line) <= width for line in lines)
        words = " ".join(lines).split()
        assert {"lord-expected", "der++", "strong", "60.0*"} <= set(words), width


def test_a_small_state_is_shown_in_a_small_unit():
    (row,) = summarise([record("er", 0, 60.0, 1e12, state_bytes=31_234, buffer_bytes=640)])
    text = page("x", [row], None, [])
    assert "| 31.2 kB |" in markdown([row])
    assert "| 31.2 kB | 640 B |" in text
    assert " MB" not in text


def test_any_row_can_be_the_baseline(tmp_path):
    named = record("er", 0, 50.0, 1e12, label="er:epochs=2", epochs=2)
    records = [*RECORDS, named, record("er", 1, 52.0, 1e12, label="er:epochs=2", epochs=2)]
    write(tmp_path, RECORDS[:2])
    write_report(tmp_path, records, "lord")
    text = (tmp_path / "README.md").read_text()
    assert "## Compared with lord" in text
    assert "| er | 2 | -19.5 |" in text
    rows = summarise([*records, record("er", 0, 40.0, 2e12)])
    assert against(rows, "er:epochs=2").name == against(rows, "er (epochs 2)").name
    with refused("against", given="sgd", problem="names no row"):
        against(rows, "sgd")
    with refused("against", problem="names 2 rows", allowed="one of 'er (lr 0.1)', 'er (lr 0.2)'"):
        against(twins(), "er")


def twins():
    return summarise([record("er", 0, 40.0, 1e12, label=f"er:lr=0.{n}") for n in (1, 2)])


def test_accuracies_by_class_are_means_over_seeds_whatever_the_order_of_classes():
    runs = [
        record("er", 0, 60.0, 1e12, class_names=["2", "10"], per_class=[50.0, None]),
        record("er", 1, 60.0, 1e12, class_names=["10", "2"], per_class=[20.0, 70.0]),
        record("sgd", 0, 60.0, 2e12),  # of an old version
    ]
    assert class_table(summarise(runs)) == (
        ["class", "er"],
        [["2", "60.0 ± 14.1"], ["10", "-"]],
    )
    assert "## Class-IL accuracy by class" in page("x", summarise(runs), None, [])
    assert class_table(summarise(runs[2:]))[1] == []


def test_the_page_defines_its_measures():
    measured = {"forward_transfer": 1.0, "forward_transfer_class_il": -1.0, "top5": 90.0}
    text = page("x", summarise([record("er", 0, 60.0, 1e12, **measured)]), None, [])
    assert "| forward transfer, Class-IL | forward transfer, Task-IL | top-5 |" in text
    assert "- forgetting: drop of the Class-IL accuracy from a task's best earlier" in text
    assert "- top-5: share of images" in text
