"""FLOPs of methods that compute outside layers."""

from io import StringIO

import pytest
import torch
from rich.console import Console

from lord.methods import METHODS, register
from lord.methods.sgd import SGD
from lord.training import compose, run

SMALL = {"epochs": 1, "width": 4, "threads": 1}
COLUMNS = 1000


@pytest.fixture(scope="module")
def plain():
    return run(compose("sgd", SMALL))


@pytest.fixture
def projecting():
    """A method that multiplies each batch with a constant matrix, without layers."""

    class Projecting(SGD):
        name = "projecting"
        stop_at = -1

        def step(self, batch, progress):
            if progress.done == self.stop_at:
                raise KeyboardInterrupt
            batch.images.float().flatten(1) @ torch.ones(64, COLUMNS)
            return super().step(batch, progress)

    yield register(Projecting)
    METHODS.pop("projecting")


def test_a_method_that_computes_outside_layers_is_counted_right_and_says_so(projecting, plain):
    text = StringIO()
    record = run(compose(projecting.name, SMALL), console=Console(file=text, width=400))
    images = record.images_per_s * record.step_s
    extra = record.training_flops - plain.training_flops
    assert extra == pytest.approx(images * 2 * 64 * COLUMNS, rel=1e-6)
    assert (plain.operators_from, record.operators_from) == (None, 0)
    assert text.getvalue().count("FLOPs of 'step'") == 1
    assert 0 < record.uncounted < plain.uncounted < 0.05
    assert record.class_il == plain.class_il


@pytest.mark.slow
def test_a_resumed_run_has_the_counts_of_an_uninterrupted_one(projecting, plain, tmp_path):
    config = compose(projecting.name, SMALL | {"checkpoint_every": 0})
    projecting.stop_at = 5
    with pytest.raises(KeyboardInterrupt):
        run(config, tmp_path)
    projecting.stop_at = -1
    whole, resumed = run(config), run(config, tmp_path, resume=True)
    for name in ("training_flops", "eval_flops", "uncounted", "operators_from"):
        assert getattr(resumed, name) == getattr(whole, name)
