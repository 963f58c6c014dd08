"""Arguments that a learner refuses. Nothing is lost."""

import os
import re

import numpy as np
import pytest
import torch
from torch import nn

from lord.config import UserError
from lord.conftest import refused
from lord.learner import Learner, LearnerConfig, load_model
from lord.learner.conftest import digits, small
from lord.storage import previous

NAMES = "a class name for each image"
ZEROS = torch.zeros(2, 1, 8, 8, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("budget", "field"),
    [
        ({"seconds": float("nan")}, "seconds"),
        ({"flops": float("inf")}, "flops"),
        ({"seconds": "5"}, "seconds"),
        ({"seconds": 1, "flops": 1e9}, "seconds"),
    ],
)
def test_a_wrong_budget_is_refused_before_anything_is_learned(budget, field):
    learner = small()
    with refused(field):
        learner.learn(*digits("0", "1"), **budget)
    assert learner.unfinished is None


def test_a_class_a_function_and_a_whole_configuration_are_refused_with_the_way_to_pass_them():
    made = "pass an instance, or use lord.register_network('flatten', Flatten) and pass the name"
    with refused("network", given=nn.Flatten, allowed="a network's name, or a module", hint=made):
        Learner(network=nn.Flatten)
    with refused("network", hint=re.compile("pass the module it returns")):
        Learner(network=digits)
    with refused("config", hint="use Learner.from_config(config)"):
        Learner(config=LearnerConfig())


def test_a_budget_is_refused_for_a_method_that_does_not_learn_in_its_steps():
    with refused("flops", problem=re.compile("gdumb.*trains when a session ends")):
        small(method="gdumb").learn(*digits("0", "1"), flops=1e9)


@pytest.mark.parametrize(
    ("images", "labels", "field", "parts"),
    [
        (None, ["a"], "images", {"problem": "got a NoneType of no dtype"}),
        (
            torch.zeros(2, 1, 8, 8),
            ["a", "b"],
            "images",
            {"problem": "got a Tensor of torch.float32 and shape (2, 1, 8, 8)"},
        ),
        (ZEROS[:, :, :3], ["a", "b"], "images", {"given": (2, 1, 3, 8)}),
        (ZEROS, ["a"], "labels", {"problem": "got 1 for 2 images"}),
        (ZEROS, ["a", "a"], "labels", {"problem": "all are 'a'", "allowed": re.compile("two")}),
        (ZEROS, [0, 1], "labels", {"given": 0, "allowed": NAMES, "hint": re.compile("map.str")}),
        (ZEROS, None, "labels", {"given": None, "allowed": NAMES}),
        (ZEROS, ["a", ""], "labels", {"given": "", "allowed": NAMES}),
        (ZEROS, ["a", "a\nb"], "labels", {"given": "a\nb", "allowed": NAMES}),
        (ZEROS, ["a", "caf\udce9"], "labels", {"given": "caf\udce9", "allowed": NAMES}),
    ],
)
def test_images_and_labels_that_do_not_fit_are_refused(images, labels, field, parts):
    learner = small()
    with refused(field, **parts):
        learner.learn(images, labels)
    assert (learner.classes, learner.unfinished) == ([], None)


def test_a_refused_session_leaves_nothing_behind():
    images, labels = digits("0", "1")
    learner = Learner(network=nn.Sequential(nn.Flatten(), nn.Linear(64, 2)), method="er", epochs=1)
    large = (images // 4).repeat(1, 3, 2, 2)
    with refused("network"):
        learner.learn(large, ["wrong " + label for label in labels])
    learner.learn(images, labels)
    assert learner.classes == ["0", "1"]
    assert learner.normalisation[0][0] == pytest.approx((images / 255).mean().item(), abs=1e-5)


@pytest.mark.parametrize(
    ("settings", "field", "parts"),
    [
        ({"widht": 3}, "widht", {"hint": "did you mean 'width'?"}),
        ({"method": "lord-"}, "method", {"given": "lord-", "hint": "did you mean 'lord'?"}),
        ({"method": LearnerConfig()}, "method", {}),
        ({"batch": 1}, "batch", {"given": 1, "allowed": "an integer, at least 2"}),
        ({"lr": -1}, "lr", {"given": -1}),
        ({"alpha": "much"}, "alpha", {"given": "much"}),
        ({"ladder": "auto"}, "ladder", {"given": "auto"}),
        ({"settings": "1"}, "settings", {"given": "1"}),
        ({"network": nn.Linear(4, 2), "width": 8}, "width", {"hint": "leave it out"}),
        ({"network": "cnm"}, "network", {"given": "cnm"}),
    ],
)
def test_settings_that_are_not_allowed_are_refused(settings, field, parts):
    with refused(field, **parts):
        Learner(**settings)


def test_a_configuration_is_made_of_settings_or_given_whole():
    assert Learner().config == LearnerConfig()
    assert Learner(settings={"lr": 0.3}).config == Learner(lr="0.3").config
    config = Learner(method="er", width=8, lr=0.3, seed=4).config
    assert Learner.from_config(config).config == config
    with refused("config", given={"lr": 0.1}):
        Learner.from_config({"lr": 0.1})


@pytest.mark.parametrize(
    ("given", "network", "width"),
    [
        ({}, "resnet8", 32),
        ({"width": None}, "resnet8", 32),
        ({"network": "resnet8", "width": 8}, "resnet8", 8),
        ({"network": "resnet18"}, "resnet18", 16),
        ({"network": "cnn", "width": None}, "cnn", 16),
    ],
)
def test_the_width_depends_on_the_network_where_none_is_given(given, network, width):
    config = Learner(**given).config.network
    assert (config.network, config.width) == (network, width)


CALLS = {
    "list": (lambda learner: learner.predict([1]), "images"),
    "matrix": (lambda learner: learner.predict(torch.zeros(8, 8)), "images"),
    "size": (lambda learner: learner.learn(torch.zeros_like(ZEROS[..., :7]), ["a", "b"]), "images"),
    "number": (lambda learner: learner.evaluate(digits("0")[0][:2], [0, 1]), "labels"),
    "numbers": (lambda learner: learner.evaluate(digits("0")[0][:2], torch.tensor([0])), "labels"),
    "too few": (lambda learner: learner.evaluate(digits("0")[0][:2], ["0"]), "labels"),
    "none": (lambda learner: learner.evaluate(digits("0")[0][:0], []), "labels"),
    "unknown": (lambda learner: learner.evaluate(digits("0")[0][:1], ["O"]), "labels"),
    "pause": (lambda learner: learner.learn(*digits("0", "1"), pause=3), "pause"),
    "folder": (lambda learner: learner.save("."), "path"),
    "no path": (lambda _: load_model(None), "path"),
    "empty path": (lambda _: load_model(""), "path"),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_wrong_argument_is_answered_in_one_line(learned, name):
    call, field = CALLS[name]
    with pytest.raises(UserError) as error:
        call(learned)
    assert error.value.field == field
    assert "\n" not in str(error.value)
    assert learned.unfinished is None


def test_a_learner_that_has_learned_nothing_says_so():
    learner = small()
    for call in (learner.predict, learner.predict_proba, learner.predictions):
        with refused(None, problem="the learner has not learned anything yet"):
            call(ZEROS)
    with refused(None, problem="the learner has not learned anything yet"):
        _ = learner.normalisation


def test_only_a_checkpoint_is_replaced_by_saving(tmp_path, learned):
    file, photo = str(tmp_path / "mine.safetensors"), tmp_path / "photo.png"
    learned.save(file)
    learned.save(file)
    assert previous(tmp_path / "mine.safetensors").exists()
    assert Learner.load(file).classes == ["0", "1"]
    photo.write_bytes(b"a photograph")
    with refused("path", problem=f"'{photo}' exists and is not a checkpoint"):
        learned.save(photo)
    (tmp_path / "next-before.png").write_bytes(b"another")
    with refused("path", problem=re.compile(r"next-before.png' exists and is not a checkpoint")):
        learned.save(tmp_path / "next.png")
    with refused("path", problem="is a folder"):
        learned.save(tmp_path)
    with refused("path", problem=re.compile("which is not a folder")):
        learned.save(tmp_path / "none" / "a")
    assert photo.read_bytes() == b"a photograph"
    with refused(None, hint=re.compile(r"lord\.Learner\.load")):
        load_model(file)


def test_float_images_are_refused_while_a_session_is_unfinished():
    def stop():
        raise KeyboardInterrupt

    learner, (images, labels) = small(), digits("0", "1")
    with pytest.raises(KeyboardInterrupt):
        learner.learn(images, labels, pause=stop)
    with refused("images", problem=re.compile("got a ndarray of float32")):
        learner.learn(np.asarray(images, np.float32), labels)
    assert learner.unfinished


def test_a_corrected_label_is_corrected_in_the_held_out_set_too(learned):
    learner = Learner.from_state(learned.state_dict())
    images, labels = learner.held_out.of(0)
    other = [learner.classes[1 - label] for label in labels.tolist()]
    more, names = digits("0", "1")
    rows = learner.held_out.rows_to_learn(more)[:40]
    learner.learn(torch.cat([images, more[rows]]), [*other, *(names[row] for row in rows)])
    assert learner.held_out.of(0)[1].tolist() == [1 - label for label in labels.tolist()]
    assert learned.held_out.of(0)[1].tolist() == labels.tolist()


def test_a_damaged_checkpoint_is_replaced_by_the_one_before_with_a_warning(tmp_path, learned):
    file = tmp_path / "s.safetensors"
    learned.save(file)
    learned.save(file)
    file.write_bytes(b"damaged")
    with pytest.warns(UserWarning, match="the checkpoint before it was read instead"):
        assert Learner.load(file).classes == ["0", "1"]
    previous(file).unlink()
    with refused(None, problem=re.compile("is damaged")):
        Learner.load(file)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read anything")
def test_a_checkpoint_that_may_not_be_read_is_not_passed_over(tmp_path, learned):
    learned.save(tmp_path / "s")
    learned.save(tmp_path / "s")
    (tmp_path / "s").chmod(0)
    with refused(None, problem=re.compile("cannot read the checkpoint .*: Permission denied")):
        Learner.load(tmp_path / "s")


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
def test_a_checkpoint_has_the_permissions_the_user_wants(tmp_path, learned):
    before = os.umask(0o077)
    try:
        learned.save(tmp_path / "s")
    finally:
        os.umask(before)
    assert (tmp_path / "s").stat().st_mode & 0o777 == 0o600
