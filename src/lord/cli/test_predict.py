"""Images of unknown classes, from the shell."""

import json

import numpy as np
import pytest
from PIL import Image

from lord.cli.test_mistakes import check_one_line
from lord.learner import STATE_FILE, Learner
from lord.learner.conftest import digits


@pytest.fixture
def files(tmp_path):
    """A learner of two digits in the folder memory, and files: a known digit, and noise."""
    learner = Learner(method="slda")
    images, labels = digits("0", "1")
    learner.learn(images, labels)
    (tmp_path / "memory").mkdir()
    learner.save(tmp_path / "memory" / STATE_FILE)
    noise = np.random.default_rng(0).integers(0, 256, images.shape[2:], dtype=np.uint8)
    Image.fromarray(images[0, 0].numpy()).save(tmp_path / "known.png")
    Image.fromarray(noise).save(tmp_path / "noise.png")
    return labels[0], "known.png noise.png"


def test_unknown_images_are_named_at_a_rate_of_false_alarms(lord, files):
    label, names = files
    code, out, error = lord(f"predict memory {names} --unknown")
    assert code == 0, error
    known, noise = out.splitlines()
    assert known.startswith(f"known.png  {label}  ")
    assert noise.startswith("noise.png  unknown  most like ")
    code, out, _ = lord(f"predict memory {names} --false-alarms 0.1 --json")
    known, noise = (json.loads(line) for line in out.splitlines())
    assert (known["is_unknown"], noise["is_unknown"]) == (False, True)
    assert known["unknown"] < 0.9 <= noise["unknown"]
    assert noise["label"] in "01"
    assert "unknown" not in json.loads(lord(f"predict memory {names} --json")[1].splitlines()[0])


def test_a_rate_that_needs_more_held_out_images_is_refused(lord, files):
    line = f"predict memory {files[1]} --false-alarms 0.001"
    code, _, error = lord(line)
    assert code == 2
    check_one_line(error, "--false-alarms", "0.001", "at least 0.0", "held-out images")
