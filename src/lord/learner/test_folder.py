"""A learner's folder: sessions, settings given again, and the lock between processes."""

import re
import time

import numpy as np
import pytest
from PIL import Image
from torch import nn

from lord.conftest import refused
from lord.learner import STATE_FILE, Learner, Model, learn_folder, save_model, start
from lord.learner.conftest import digits
from lord.learner.start import settings_to_start, side_to_start
from lord.networks import NetworkConfig, build_network
from lord.test_forked import Forked

SETTINGS = {"network": "cnn", "width": 8, "epochs": 1, "buffer": 64, "candidates": 8}


def photos(folder, *names, start=0):
    """Write 30 images of each digit, a folder a class."""
    for name in names:
        (folder / name).mkdir(parents=True)
        for number, image in enumerate(digits(name)[0][start : start + 30]):
            Image.fromarray(image[0].numpy()).save(folder / name / f"{number}.png")
    return folder


def learn(state, images, given=SETTINGS, **options):
    return learn_folder(state, images, given, resize=8, report=lambda _: None, **options)


def test_a_folder_keeps_its_learner(tmp_path):
    one, two = photos(tmp_path / "one", "0", "1"), photos(tmp_path / "two", "2")
    learn(tmp_path / "state", one)
    learner = learn(tmp_path / "state", two, {})
    assert learner.classes == ["0", "1", "2"]
    assert [len(each.held_out) for each in Learner.load(tmp_path / "state").sessions] == [1, 2]
    with refused(None, problem=f"'{one}' was learned already, in session 1"):
        learn(tmp_path / "state", one)
    assert len(learn(tmp_path / "state", one, again=True).sessions) == 3


@pytest.mark.parametrize(
    ("given", "field", "value"),
    [
        ({"width": 9}, "width", 9),
        ({"alpha": "1"}, "alpha", 1.0),
        ({"method": "er"}, "method", "er"),
        ({"epochs": 0}, "epochs", 0),
    ],
)
def test_settings_cannot_change(tmp_path, given, field, value):
    state, one = tmp_path / "state", photos(tmp_path / "one", "0", "1")
    learn(state, one)
    with refused(field, given=value):
        learn(state, one, given, again=True)
    with refused("resize", given=9):
        learn_folder(state, one, {}, resize=9, again=True)


def test_a_setting_that_was_left_at_its_default_cannot_change_either(tmp_path):
    state, one = tmp_path / "state", photos(tmp_path / "one", "0", "1")
    learn(state, one, {name: SETTINGS[name] for name in SETTINGS if name != "epochs"})
    with refused("epochs", given=5, problem=re.compile("from the default, with which")):
        learn(state, one, {"epochs": 5}, again=True)


def test_settings_given_again_may_be_text(tmp_path):
    state, one = tmp_path / "state", photos(tmp_path / "one", "0", "1")
    learn(state, one, {**SETTINGS, "lr": 0.05})
    given = {"lr": "0.050", "width": "8", "alpha": 0.2, "method": "lord+"}
    assert len(learn(state, one, given, again=True).sessions) == 2


def test_a_folder_of_a_users_module_continues_with_that_module(tmp_path):
    state, one = tmp_path / "state", photos(tmp_path / "one", "0", "1")
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    given = {"network": module, "epochs": 1}
    learn(state, one, given)
    assert len(learn(state, one, given, again=True).sessions) == 2


def test_a_learner_of_colour_images_takes_grey_ones(tmp_path):
    state, colour = tmp_path / "state", tmp_path / "colour"
    for name in ("a", "b"):
        (colour / name).mkdir(parents=True)
        for number in range(4):
            pixels = np.random.default_rng(ord(name) + 9 * number).integers(
                0, 256, (8, 8, 3), np.uint8
            )
            Image.fromarray(pixels).save(colour / name / f"{number}.png")
    learn(state, colour)
    assert learn(state, photos(tmp_path / "grey", "0")).classes == ["a", "b", "0"]
    learn(tmp_path / "grey-state", photos(tmp_path / "more", "0", "1"))
    with refused("images", problem=re.compile("in colour")):
        learn(tmp_path / "grey-state", colour)


LEARN = """
from lord.learner import learn_folder
settings = dict(network="cnn", width=8, epochs=30_000, buffer=64)
learn_folder("{}", "{}", settings, resize=8, every=0)
"""


def test_a_learner_finds_its_backbone_from_any_folder(tmp_path, monkeypatch):
    network = build_network(config := NetworkConfig(network="cnn", width=8), classes=3, channels=1)
    model = Model(network.eval(), ("a", "b", "c"), (1, 8, 8), (0.3,), (0.4,), config)
    (tmp_path / "run").mkdir()
    save_model(model, tmp_path / "run" / "model.safetensors")
    photos(tmp_path / "one", "0", "1")
    monkeypatch.chdir(tmp_path)
    given = {"method": "slda", "backbone": "run"}
    learn_folder("state", "one", given, report=lambda _: None)
    monkeypatch.chdir("/")
    learner = Learner.load(tmp_path / "state")
    monkeypatch.chdir(tmp_path)
    with refused(None, problem=re.compile("was learned already")):  # the same command again
        learn_folder("state", "one", given, report=lambda _: None)
    assert learner.config.backbone.backbone == str(tmp_path / "run")


def test_an_abandoned_first_session_leaves_the_size_of_images(tmp_path):
    one, state = photos(tmp_path / "one", "0", "1"), tmp_path / "state"
    quiet = {"report": lambda _: None}
    with refused(None, problem=re.compile("diverged|not finite|nan", re.IGNORECASE)):
        learn_folder(state, one, {**SETTINGS, "lr": 1e30}, resize=12, every=0, **quiet)
    learner = learn_folder(state, one, {"lr": 0.05}, abandon=True, **quiet)
    assert learner.shape == (1, 12, 12)


def test_two_processes_cannot_learn_in_one_folder(tmp_path):
    state, one = tmp_path / "state", photos(tmp_path / "one", "0", "1")
    other = Forked("-c", LEARN.format(state, one))
    try:
        until = time.monotonic() + 120
        while not (state / STATE_FILE).exists() and time.monotonic() < until:
            time.sleep(0.05)
        with refused(None, problem=f"another process is learning in '{state}'"):
            learn(state, one)
    finally:
        other.kill()
        other.wait()
    assert Learner.load(state).unfinished  # the lock ended with its process
    assert len(learn(state, one, abandon=True).sessions) == 1


def test_a_new_learner_starts_from_a_pretrained_network_if_nothing_speaks_against_it(monkeypatch):
    said = []
    assert settings_to_start({"seed": 3}, said.append) == {
        "seed": 3,
        "method": "slda",
        "backbone": "efficientnet-lite0",
    }
    for given in ({"method": "er"}, {"network": "cnn"}, {"epochs": 2}, {"buffer": 50}, {"lr": 0.1}):
        assert settings_to_start(given, said.append) == given
    chosen = {"backbone": "timm:resnet18", "method": "ncm"}
    assert settings_to_start(chosen, said.append) == chosen
    for method in ("ncm", "ranpac", "lord-fused"):
        assert settings_to_start({"method": method}, said.append)["backbone"] == start.BACKBONE
    assert said == []
    monkeypatch.setattr(start, "WEIGHTS", "a_package_that_is_not_installed")
    assert settings_to_start({}, said.append) == {}
    assert "lord-cl[pretrained]" in said[0]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"method": "slda", "network": "cnn"}, "network"),
        ({"method": "ncm", "epochs": 7}, "epochs"),
        ({"backbone": "timm:resnet18", "lr": 0.1}, "lr"),
        ({"method": "er", "backbone": "timm:resnet18", "width": 8}, "width"),
    ],
)
def test_a_setting_of_a_network_that_is_not_trained_is_refused(given, field):
    with refused(field, given=given[field], hint="leave it out"):
        settings_to_start(given, lambda _: None)


@pytest.mark.parametrize(("own", "side"), [(8, 32), (40, 40), (100, 64)])
def test_images_keep_their_side_from_nothing_but_from_32_to_64(tmp_path, own, side):
    (tmp_path / "one").mkdir()
    Image.new("RGB", (own, own // 2)).save(tmp_path / "one" / "0.png")
    assert side_to_start({}, tmp_path, None) == ({}, side)


def test_arrays_of_pixels_keep_their_side_from_nothing(tmp_path):
    images, labels = digits("0", "1")
    np.savez(tmp_path / "digits.npz", x_train=images[:, 0].numpy(), y_train=np.array(labels, int))
    assert side_to_start({}, tmp_path / "digits.npz", None) == ({}, 8)


def test_images_are_resized_to_three_times_their_side_for_a_backbone(tmp_path):
    folder = photos(tmp_path / "one", "0", "1")
    assert side_to_start({}, folder, None) == ({}, 32)
    assert side_to_start({}, folder, 48) == ({}, 48)
    chosen = {"backbone": "efficientnet-lite0"}
    assert side_to_start(chosen, folder, None) == ({**chosen, "backbone_size": 64}, 64)
    assert side_to_start(chosen, folder, 224) == ({**chosen, "backbone_size": 224}, 224)
