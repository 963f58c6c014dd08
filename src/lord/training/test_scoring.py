"""Each image is scored once where one pass gives all figures."""

from dataclasses import replace

import pytest

import lord.training.setup
from lord.streams import make_stream
from lord.training import compose, run
from lord.training.scoring import Scoring
from lord.training.test_resume import StoppedError, outcome

TINY = {"width": 4, "threads": 1, "epochs": 1, "checkpoint_every": 0}
FEW = {"subset": 0.3, "test_subset": 0.3}


def test_images_that_tasks_share_are_scored_once(monkeypatch):
    """A slow pass over each task gives the same figures."""
    config = compose(
        "er", TINY | {"tasks": 6, "evaluate_every": 20} | FEW, preset="drifting-digits"
    )
    fast = run(config)

    def stream_without_rows(*arguments):
        stream = make_stream(*arguments)
        return replace(stream, test=[replace(task, rows=None) for task in stream.test])

    monkeypatch.setattr(lord.training.setup, "make_stream", stream_without_rows)
    slow = run(config)
    assert fast.matrices == slow.matrices
    assert fast.calibration == pytest.approx(slow.calibration)
    assert fast.per_class == slow.per_class
    assert fast.training_flops == slow.training_flops
    assert fast.eval_flops < 0.5 * slow.eval_flops


def test_an_evaluation_at_the_last_step_of_a_task_is_that_of_the_task(tmp_path, monkeypatch):
    settings = TINY | {"tasks": 2, "subset": 0.1}
    plain = run(compose("er", settings, preset="permuted-digits"))
    every = {"evaluate_every": plain.steps // 2}
    config = compose("er", settings | every, preset="permuted-digits")
    close = run(config, tmp_path / "whole")
    assert close.matrices.between == [*enumerate(close.matrices.class_il)]
    assert (close.class_il, close.per_class) == (plain.class_il, plain.per_class)
    assert close.eval_flops == plain.eval_flops

    def fail(*_):
        raise StoppedError

    with monkeypatch.context() as patch:
        patch.setattr(Scoring, "score_after", fail)
        with pytest.raises(StoppedError):
            run(config, tmp_path / "parts")
    run(config, tmp_path / "parts", resume=True)
    assert outcome(tmp_path / "parts") == outcome(tmp_path / "whole")


def test_a_network_without_batch_norm_has_nothing_to_recompute():
    record = run(compose("er", TINY | {"network": "mlp", "tasks": 2, "subset": 0.2}))
    plain = run(compose("sgd", TINY | {"network": "mlp", "tasks": 2, "subset": 0.2}))
    assert record.matrices.class_il_recomputed == record.matrices.class_il
    assert record.recompute_flops == 0
    assert record.eval_flops == plain.eval_flops
