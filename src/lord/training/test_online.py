"""Accuracy on the next batch, and the area under the accuracy."""

import pytest

from lord.evaluation import area_under_accuracy
from lord.training import compose, run
from lord.training.scoring import Scoring
from lord.training.test_resume import outcome, stopped_after

TINY = {"width": 4, "threads": 1, "subset": 0.1, "stop_after": 2, "batch": 10, "epochs": 1}
ONE_PASS = {"prequential": True, "evaluate_every": 3}


def test_predicting_each_batch_first_changes_nothing_else(tmp_path, monkeypatch):
    settings = TINY | {"buffer": 32, "checkpoint_every": 0}
    plain = run(compose("er", settings | {"evaluate_every": 3}))
    config = compose("er", settings | ONE_PASS)
    online = run(config, tmp_path / "whole")
    assert online.matrices == plain.matrices
    assert online.training_flops == plain.training_flops
    assert online.eval_flops > plain.eval_flops
    assert (plain.online, 0 <= online.online <= 100) == (None, True)
    stopped_after(online.steps // 2, config, tmp_path / "parts", monkeypatch)
    run(config, tmp_path / "parts", resume=True)
    assert outcome(tmp_path / "parts") == outcome(tmp_path / "whole")
    points = online.matrices.anytime
    assert [images for images, _ in points] == sorted(images for images, _ in points)
    assert online.area_under_accuracy == area_under_accuracy(points)
    for (_, accuracy), (_, row) in zip(points, online.matrices.between, strict=True):
        assert min(row) - 1e-4 <= accuracy <= max(row) + 1e-4


@pytest.mark.parametrize("limits", [{"epochs": 3}, {"realtime": True}])
def test_each_image_is_predicted_once(monkeypatch, limits):
    """Batches of later epochs are not predicted, and those that are missed are."""
    seen = []
    counted = Scoring.online_accuracy.fget

    def count(scoring):
        seen.append(int(scoring.online[1]))
        return counted(scoring)

    monkeypatch.setattr(Scoring, "online_accuracy", property(count))
    once = run(compose("er", TINY | ONE_PASS | {"stop_after": 1, "buffer": 32} | limits))
    images = 2 * round(0.1 * 145)
    assert 0.9 * images < seen[0] <= 1.1 * images
    assert once.online is not None


def test_a_blurry_stream_is_learned_and_scored():
    record = run(compose("er", TINY | {"scenario": "blurry", "buffer": 32, "imbalance": 3.0}))
    assert [len(row) for row in record.matrices.class_il] == [1, 2]
    assert record.class_il >= 0
