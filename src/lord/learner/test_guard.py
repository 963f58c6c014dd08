"""A session that harms earlier ones is dropped, and the learner stays as it was."""

import shutil

import pytest
import torch
from PIL import Image

from lord.cli.main import main
from lord.config import GuardRailError
from lord.learner import STATE_FILE, Learner, learn_folder
from lord.learner.conftest import digits
from lord.learner.guard import LEAST, Guard
from lord.learner.snapshots import snapshots

NETWORK = {"network": "cnn", "width": 4, "epochs": 6, "buffer": 32, "candidates": 8}


def write(folder, names, images, labels):
    """Write images into folders of classes with other names."""
    for name in names:
        (folder / names[name]).mkdir(parents=True)
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        if label in names:
            Image.fromarray(image[0].numpy()).save(folder / names[label] / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def week(tmp_path_factory):
    """Images of two digits, enough for twenty that are held out."""
    return write(tmp_path_factory.mktemp("week") / "one", {"0": "0", "1": "1"}, *digits("0", "1"))


@pytest.fixture(scope="module")
def wrong(tmp_path_factory):
    """Images of the same digits, with the names exchanged."""
    images, labels = digits("0", "1", train=False)
    return write(tmp_path_factory.mktemp("week") / "two", {"0": "1", "1": "0"}, images, labels)


@pytest.fixture(scope="module")
def made(week, tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "state"
    learn_folder(folder, week, NETWORK, resize=8, report=lambda _: None)
    return folder


@pytest.fixture
def state(made, tmp_path):
    return shutil.copytree(made, tmp_path / "state")


def learn(state, images, **options):
    return learn_folder(state, images, {}, report=lambda _: None, **options)


def test_a_session_that_harms_earlier_ones_is_dropped(state, wrong, capsys):
    whole = (state / STATE_FILE).read_bytes()
    assert len(Learner.load(state).held_out.labels) >= LEAST
    with pytest.raises(SystemExit) as stop:
        main(["learn", str(wrong), "--state", str(state)])
    assert stop.value.code == GuardRailError.code == 5
    error = capsys.readouterr().err
    assert "the session was not kept: accuracy on the " in error
    assert "held-out images of earlier sessions would fall from " in error
    assert "set --tolerance above" in error
    assert (state / STATE_FILE).read_bytes() == whole
    assert not snapshots(state)
    assert len(learn(state, wrong, tolerance=100).sessions) == 2


def test_a_session_that_was_interrupted_is_compared_with_the_learner_before_it(
    state, wrong, monkeypatch
):
    def stopping(learner, file, every):
        def pause():
            learner.save(file)
            raise KeyboardInterrupt

        return pause

    whole = (state / STATE_FILE).read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("lord.learner.folder._checkpoints", stopping)
        with pytest.raises(KeyboardInterrupt):
            learn(state, wrong)
    assert Learner.load(state).unfinished
    with pytest.raises(GuardRailError):
        learn(state, wrong)
    assert (state / STATE_FILE).read_bytes() == whole


def test_with_few_held_out_images_nothing_is_checked(made):
    learner = Learner.load(made)
    learner.held_out.keep(torch.arange(len(learner.held_out.labels)) < LEAST - 1)
    guard = Guard(learner)
    learner.held_out.columns["labels"] = 1 - learner.held_out.labels  # all are wrong now
    guard.check(learner, 0)
    learner = Learner.load(made)
    guard = Guard(learner)
    guard.check(learner, 0)  # no fall at all


def test_a_session_of_one_image_does_no_harm_to_a_network(state, tmp_path):
    check_one_image(state, tmp_path)


@pytest.mark.parametrize("method", ["slda", pytest.param("lord-fused", marks=pytest.mark.slow)])
def test_a_session_of_one_image_does_no_harm_to_a_head(method, week, tmp_path):
    settings = {"method": method, "backbone": None}
    settings |= NETWORK | {"epochs": 1, "pays": 0} if method == "lord-fused" else {}
    learn_folder(tmp_path / "state", week, settings, resize=8, report=lambda _: None)
    check_one_image(tmp_path / "state", tmp_path)


def check_one_image(state, tmp_path):
    """Learn one image of a new class, of an old one, and one more of the new one."""
    before = Learner.load(state)
    for number, name in enumerate(("2", "0", "2")):
        (one := tmp_path / f"one{number}" / name).mkdir(parents=True)
        image = digits(name, train=False)[0][number]
        Image.fromarray(image[0].numpy()).save(one / "1.png")
        try:
            learn(state, one.parent)
        except GuardRailError:
            assert Learner.load(state).unfinished is None
    images, labels = before.held_out.of(0)
    first, last = (
        float((each.predict_proba(images).argmax(1) == labels.numpy()).mean())
        for each in (before, Learner.load(state))
    )
    assert first - last <= 3 * 0.15


def test_a_budget_and_a_number_of_epochs_exclude_each_other(week, tmp_path, capsys):
    line = f"learn {week} --state {tmp_path / 'state'} --network cnn --epochs 2 --seconds 3"
    with pytest.raises(SystemExit) as stop:
        main(line.split())
    assert stop.value.code == 2
    assert "--seconds: 3.0 replaces --epochs, so" in capsys.readouterr().err
    assert not (tmp_path / "state").exists()
