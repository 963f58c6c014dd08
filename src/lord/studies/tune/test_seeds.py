"""Searches whose trials have runs of several seeds, and searches of images in memory."""

import json
from statistics import fmean

import pytest

from lord.conftest import refused
from lord.data import DataConfig, images, load_images
from lord.evaluation import read_record
from lord.studies.tune import make_plan, parse_space, tune, write_tuning

pytest.importorskip("optuna", reason="optuna is not installed")
DIGITS = load_images(DataConfig())
TRAIN, TEST = (
    (DIGITS.train_images[:150], DIGITS.train_labels[:150]),
    (DIGITS.test_images[:60], DIGITS.test_labels[:60]),
)
GIVEN = {"width": 4, "epochs": 1, "threads": 1, "network": "cnn", "buffer": 32}
SPACE = parse_space(("lr=0.01,0.1",))


@pytest.mark.slow
def test_the_accuracy_of_a_trial_is_the_mean_over_its_seeds(tmp_path):
    data = images(TRAIN, TEST)
    plan = make_plan(["er"], GIVEN, SPACE, seeds=(7, 9), trials=1, images=data)
    studies = tune(plan, tmp_path, jobs=1, report=lambda _: None)
    runs = [read_record(tmp_path / "er" / f"trial-0000-seed{seed}") for seed in (7, 9)]
    assert [run.seed for run in runs] == [7, 9]
    (trial,) = studies["er"].trials
    assert trial.value == fmean(run.headline[0] for run in runs)
    assert trial.user_attrs["flops"] == sum(run.training_flops for run in runs)
    write_tuning(plan, studies, tmp_path, "test")
    assert json.loads((tmp_path / "tuning.json").read_text())["seeds"] == [7, 9]
    assert f"data: memory:{data.key}" in (tmp_path / "best.yaml").read_text()
    other = make_plan(["er"], GIVEN, SPACE, seeds=(7, 8), trials=1, images=data)
    with refused("seeds", given=[7, 8]):
        tune(other, tmp_path, report=lambda _: None)


def test_a_seed_is_an_integer():
    with refused("seeds", given="x"):
        make_plan(["er"], GIVEN, SPACE, seeds=("x",), trials=1)
