"""Learners that earlier versions wrote, by the format of the file.

Each was interrupted in its second session. Networks were made with ``network="cnn", width=4,
epochs=2, buffer=48, candidates=8``, and the head with ``method="slda"``. To add one when the format
changes, write it with the version before the change.
"""

import re
from pathlib import Path

import pytest
import torch

from lord.conftest import refused
from lord.learner import Learner
from lord.learner.conftest import digits, small
from lord.learner.older import PACE, upgraded
from lord.learner.test_intake import same

FOLDER = Path(__file__).parent
FILE = FOLDER / "old_state_4.safetensors"
LOGITS = [0.1642, 0.1161, -0.1929]
"""What version 0.1 gave for the first test image after the session."""
FORMAT_5 = {
    "old_state_5.safetensors": ([0.1675, 0.1022, -0.2165], [0.1720, 0.1138, -0.1967]),
    "old_state_5_head.safetensors": (
        [1491.3401, 1156.1885, 1178.2156],
        [1739.4469, 1403.2375, 1437.3989],
    ),
}
"""What the version that wrote them gave for the same image, before and after the session."""


def test_an_old_learner_is_read_and_finishes_its_session():
    learner = Learner.load(FILE)
    assert (learner.classes, learner.unfinished) == (["0", "1", "2"], "b")
    assert learner.sessions[0].held_out == pytest.approx([54.545454])
    images, labels = digits("1", "2")
    session = learner.learn(images[:90], labels[:90], key="b")
    assert (session.steps, session.level, session.flops) == (6, 4, 19219776)
    assert session.held_out == pytest.approx([54.545454, 0.0])
    logits = learner.method.predict(digits("0", "1", "2", train=False)[0])
    torch.testing.assert_close(logits[0], torch.tensor(LOGITS), atol=1e-3, rtol=0)


@pytest.mark.parametrize("name", FORMAT_5)
def test_a_learner_of_format_5_is_read_and_finishes_its_session(name, tmp_path):
    learner = Learner.load(FOLDER / name)
    image = digits("0", "1", "2", train=False)[0][:1]
    before, after = FORMAT_5[name]
    assert learner.method.predict(image)[0].tolist() == pytest.approx(before, rel=1e-5, abs=1e-3)
    images, labels = digits("1", "2")
    learner.learn(images[:90], labels[:90], key="b")
    assert learner.method.predict(image)[0].tolist() == pytest.approx(after, rel=1e-5, abs=1e-3)
    learner.save(tmp_path / "new.safetensors")
    again = Learner.load(tmp_path / "new.safetensors")
    assert torch.equal(again.method.predict(image), learner.method.predict(image))
    assert again.config.undo == 3
    again.learn(*digits("3"))
    assert again.classes == ["0", "1", "2", "3"]


def test_an_old_learner_written_again_is_the_same(tmp_path):
    learner = Learner.load(FILE)
    learner.save(tmp_path / "new.safetensors")
    again = Learner.load(tmp_path / "new.safetensors")
    assert same(again.state_dict(), learner.state_dict())


def test_an_old_learner_keeps_its_pace():
    assert Learner.load(FILE).config.settings["pace"] == PACE


def test_a_new_learner_keeps_growing_by_the_images_seen():
    learner = small(epochs=1)
    images, labels = digits("0", "1")
    for part in (slice(0, 40), slice(40, 80)):
        learner = Learner.from_state(learner.state_dict())
        learner.learn(images[part], labels[part])
    assert [session.level for session in learner.sessions] == [5, 8]
    assert "pace" not in learner.config.settings


@pytest.mark.parametrize("value", [0, "0", 0.0])
def test_retired_settings_at_their_default_are_dropped(value):
    config = {"settings": {"start": value, "lr": 0.1}}
    state = {"config": config, "sessions": [], "exam": {"columns": {}, "spent": []}, "course": None}
    assert upgraded(state)["config"]["settings"] == {"lr": 0.1}


def test_retired_settings_with_another_value_are_refused():
    with refused("start", given="2", problem=re.compile("no longer exists")):
        upgraded({"config": {"settings": {"start": "2"}}})
