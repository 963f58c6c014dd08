from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from lord.config import fields
from lord.methods import OptimizerConfig
from lord.reporting import markdown, notes, summarise
from lord.reporting.fairness import TRAINED, trained
from lord.reporting.test_reporting import record

SGD = {"optimizer": "sgd", "lr": 0.03, "momentum": 0.0, "schedule": "constant", "epochs": 1}
MUON = SGD | {"optimizer": "muon", "lr": 0.05, "momentum": 0.6, "schedule": "triangle"}


def rows(**settings):
    """A row for each method; the later ones are more accurate."""
    return summarise(
        [
            record(
                method, seed, 50.0 + 10 * place, 1e12 * (place + 1), settings=own | {"batch": 32}
            )
            for place, (method, own) in enumerate(settings.items())
            for seed in (0, 1)
        ]
    )


def test_every_setting_of_the_optimizer_is_compared():
    assert set(fields(OptimizerConfig)) <= set(TRAINED)


def test_tables_show_how_each_row_is_trained():
    table = markdown(rows(er=SGD, lord=MUON))
    assert "| SGD lr 0.03, constant |" in table
    assert "| Muon lr 0.05, momentum 0.6, triangle |" in table
    assert "All rows: 1 epoch, batch 32." in table
    assert {
        "All rows: 1 epoch, batch 32.",
        "  er, sgd: SGD lr 0.03, constant",
        "  lord: Muon lr 0.05, momentum 0.6, triangle",
    } <= set(notes(rows(er=SGD, sgd=SGD, lord=MUON)))


def test_rows_that_are_trained_alike_share_a_line_and_get_no_warning():
    table = markdown(rows(er=SGD, sgd=SGD))
    assert "All rows: SGD lr 0.03, constant, 1 epoch, batch 32." in table
    assert " training |" not in table
    assert "equal comparison" not in table


def test_a_warning_names_the_rows_that_are_trained_otherwise_and_the_way_to_an_equal_comparison():
    warning = (
        "Not all rows are trained like lord, which has the highest accuracy. What differs: "
        "er and sgd (optimizer, lr, momentum, schedule). For an equal comparison, run all rows "
        "with `optimizer` muon, `lr` 0.05, `momentum` 0.6 and `schedule` triangle."
    )
    different = rows(er=SGD, sgd=SGD, lord=MUON)
    assert f"**{warning}**" in markdown(different)
    assert warning in notes(different)


def test_records_of_old_versions_show_the_settings_that_they_have():
    old = [record("er", 0, 50.0, 1e12, label="er:lr=0.1"), record("sgd", 0, 40.0, 1e12)]
    how = trained(summarise(old))
    assert how.each == {"er": "lr 0.1", "sgd": ""}
    assert (how.shared, how.warning) == ("1 epoch", None)


@given(st.lists(st.dictionaries(st.sampled_from(TRAINED), st.sampled_from("123")), max_size=5))
def test_no_setting_of_any_row_is_left_out(runs):
    made = [
        record("er", 0, 50.0 + n, 1e12, label=f"v{n}", epochs=None, settings=settings)
        for n, settings in enumerate(runs)
    ]
    how = trained(summarise(made))
    for row in summarise(made):
        said = f"{how.each.get(row.name, '')}, {how.shared}"
        settings = dict(row.records[0].settings)
        if "flops_per_task" in settings:
            settings.pop("epochs", None)
        assert all(value in said for value in settings.values())


def test_flops_per_task_are_shown_in_place_of_epochs():
    limited = SGD | {"epochs": 15, "flops_per_task": 2e9, "realtime": False}
    table = markdown(rows(er=limited, sgd=limited))
    assert "All rows: SGD lr 0.03, constant, 2e+09 FLOPs per task, batch 32." in table


def test_rows_that_miss_their_flops_per_task_are_named():
    limited = SGD | {"flops_per_task": 100.0}
    made = {
        method: record(method, 0, 50.0, 300, settings=limited, task_flops=spent)
        for method, spent in {"er": [100, 103], "sgd": [100, 100], "joint": [200]}.items()
    }
    assert "Largest difference: er 3.0%." in markdown(summarise(list(made.values())))
    assert "Largest difference" not in markdown(summarise([made["sgd"], made["joint"]]))


def test_a_closed_form_head_is_not_compared_by_how_it_is_trained():
    table = markdown(rows(er=SGD, slda={"optimizer": "closed form"}))
    assert "| closed form |" in table
    assert "| SGD lr 0.03, constant, 1 epoch, batch 32 |" in table
    assert "equal comparison" not in table


def test_rows_from_pretrained_weights_are_marked_and_their_pretraining_is_named():
    plain = record("er", 0, 50.0, 1e12)
    started = replace(plain, method="slda", label="slda", pretrained="net (data, 64 px)")
    table = markdown(summarise([plain, replace(started, pretraining_flops=1e18)]))
    assert "| slda (P) |" in table
    assert "| er |" in table
    assert "not counted: net (data, 64 px), about 1e+18." in table
    assert "net (data, 64 px), unknown." in markdown(summarise([plain, started]))
    assert "(P)" not in markdown(summarise([plain]))
