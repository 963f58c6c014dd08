"""What a learner is given and cannot use: one line each, and nothing is lost."""

import os

import numpy as np
import pytest
import torch
from torch import nn

from lord.config import UserError
from lord.learner import Learner, LearnerConfig, load_model
from lord.learner.conftest import digits, small
from lord.storage import previous


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        ({"seconds": float("nan")}, "seconds: expected a finite number above 0, got nan"),
        ({"flops": float("inf")}, "flops: expected a finite number above 0, got inf"),
        ({"seconds": 1, "flops": 1e9}, "seconds and flops: give one of them"),
    ],
)
def test_what_is_no_budget_is_refused_before_anything_is_learnt(budget, said):
    learner = small()
    with pytest.raises(UserError, match=said):
        learner.learn(*digits("0", "1"), **budget)
    assert learner.unfinished is None


def test_images_that_are_no_tensor_are_refused_as_such():
    images, labels = digits("0", "1")
    with pytest.raises(UserError, match=r"expected a tensor, .* got a ndarray of uint8"):
        small().learn(images.numpy(), labels)


def test_a_budget_for_what_does_not_learn_by_steps_is_refused():
    with pytest.raises(UserError, match="'gdumb' trains when a session ends: no budget"):
        small(method="gdumb").learn(*digits("0", "1"), flops=1e9)


@pytest.mark.parametrize(
    ("images", "labels", "said"),
    [
        (torch.zeros(2, 1, 8, 8), ["a", "b"], "N x C x H x W uint8, got a Tensor of torch.float32"),
        (
            torch.zeros(2, 1, 8, 8, dtype=torch.uint8),
            ["a"],
            "labels: expected one for each image, and at least one image, got 1 for 2",
        ),
        (torch.zeros(2, 1, 8, 8, dtype=torch.uint8), ["a", "a"], r"only one class \(a\)"),
        (torch.zeros(2, 1, 8, 8, dtype=torch.uint8), [0, 1], "expected the name .* class, got 0"),
    ],
)
def test_what_does_not_fit_is_refused(images, labels, said):
    with pytest.raises(UserError, match=said):
        small().learn(images, labels)


def test_a_refused_session_leaves_nothing_behind():
    images, labels = digits("0", "1")
    learner = Learner(network=nn.Sequential(nn.Flatten(), nn.Linear(64, 2)), method="er", epochs=1)
    large = (images // 4).repeat(1, 3, 2, 2)
    with pytest.raises(UserError, match=r"does not take images of \(3, 16, 16\)"):
        learner.learn(large, ["wrong " + label for label in labels])
    learner.learn(images, labels)
    assert learner.classes == ["0", "1"]
    assert learner.normalisation[0][0] == pytest.approx((images / 255).mean().item(), abs=1e-5)


def test_images_of_another_size_and_unknown_settings_are_refused():
    learner = small(epochs=1)
    with pytest.raises(UserError, match="nothing was learnt yet"):
        learner.predict(torch.zeros(1, 1, 8, 8, dtype=torch.uint8))
    learner.learn(*digits("0", "1"))
    with pytest.raises(UserError, match=r"expected N x \(1, 8, 8\), got \(4, 1, 9, 9\)"):
        learner.learn(torch.zeros(4, 1, 9, 9, dtype=torch.uint8), ["a", "b"] * 2)
    with pytest.raises(UserError, match="unknown setting 'widht'"):
        Learner(widht=3)
    with pytest.raises(UserError, match="unknown method 'lord-'"):
        Learner(method="lord-")
    with pytest.raises(UserError, match="batch: expected"):
        Learner(batch=1)
    with pytest.raises(UserError, match="ladder: of a learner it is short or long"):
        Learner(ladder="auto")
    assert Learner(settings={"lr": 0.3}).config.settings["lr"] == 0.3
    with pytest.raises(UserError, match="settings: expected names and values, got '1'"):
        Learner(settings="1")


WRONG = [
    (lambda new, _: Learner("lord"), "config: expected a LearnerConfig or settings by name, got"),
    (lambda new, _: Learner({"lr": 0.1}), "config: expected a LearnerConfig"),
    (lambda new, _: Learner(lr=-1), "lr: expected float > 0.0, got -1"),
    (lambda new, _: Learner(alpha="much"), "alpha: expected float, got 'much'"),
    (lambda new, _: new.learn(None, ["a"]), "images: expected a tensor, .* got a NoneType"),
    (lambda new, _: new.learn(digits("0")[0], None), "labels: expected a class name for each"),
    (lambda new, _: new.learn(*digits("0", "1"), seconds="5"), "seconds: expected a .* got '5'"),
    (
        lambda new, _: new.learn(torch.zeros(4, 8, 8, 3, dtype=torch.uint8), ["a", "b"] * 2),
        r"got \(4, 8, 8, 3\); of N x H x W x C, images.permute\(0, 3, 1, 2\) makes it",
    ),
    (lambda new, _: new.learn(*digits("0", "1"), pause=3), "pause: expected a function, got 3"),
    (lambda *_: Learner(network=nn.Linear(4, 2), width=8), "width: a module has its own; leave it"),
    (lambda _, old: old.predict([1]), "expected a tensor, .* got a list of no dtype"),
    (lambda _, old: old.predict(torch.zeros(8, 8)), r"a Tensor of torch.float32 and \(8, 8\)"),
    (lambda _, old: old.evaluate(digits("0")[0][:2], [0, 1]), "name of each image's class, got 0"),
    (lambda _, old: old.evaluate(digits("0")[0][:2], torch.tensor([0, 1])), "got tensor"),
    (lambda _, old: old.evaluate(digits("0")[0][:2], ["0"]), "one for each .* got 1 for 2"),
    (lambda _, old: old.evaluate(digits("0")[0][:0], []), "at least one image, got 0 for 0"),
    (lambda _, old: old.evaluate(digits("0")[0][:1], ["O"]), "unknown class 'O'.*; known: 0, 1"),
    (lambda _, old: old.save("."), "'.' is a folder: name a file"),
    (lambda *_: load_model(None), "path: expected a path, got None"),
    (lambda *_: load_model(""), "path: expected a path, got nothing"),
]


@pytest.fixture(scope="module")
def learnt():
    learner = small(epochs=1)
    learner.learn(*digits("0", "1"))
    return learner


@pytest.mark.parametrize(("call", "said"), WRONG)
def test_a_wrong_argument_is_answered_in_one_line(learnt, call, said):
    new = small()
    with pytest.raises(UserError, match=said) as error:
        call(new, learnt)
    assert "\n" not in str(error.value)
    assert new.unfinished is None


def test_a_learner_is_saved_over_nothing_but_a_learner(tmp_path, learnt):
    own, photo = str(tmp_path / "own.safetensors"), tmp_path / "photo.png"
    learnt.save(own)
    learnt.save(own)
    assert previous(tmp_path / "own.safetensors").exists()
    assert Learner.load(own)[0].classes == ["0", "1"]
    photo.write_bytes(b"a photograph")
    with pytest.raises(UserError, match="exists and is no state of a learner: name another file"):
        learnt.save(photo)
    (tmp_path / "next-before.png").write_bytes(b"another")
    with pytest.raises(UserError, match=r"next-before.png' exists and is no state of a learner"):
        learnt.save(tmp_path / "next.png")
    with pytest.raises(UserError, match="is a folder: name a file"):
        learnt.save(tmp_path)
    with pytest.raises(UserError, match=r"cannot write .* no folder"):
        learnt.save(tmp_path / "none" / "a")
    assert photo.read_bytes() == b"a photograph"
    with pytest.raises(UserError, match=r"is a state, not a model: lord\.Learner\.load"):
        load_model(own)


def test_numpy_images_are_refused_while_a_session_is_unfinished():
    def stop():
        raise KeyboardInterrupt

    learner, (images, labels) = small(), digits("0", "1")
    with pytest.raises(KeyboardInterrupt):
        learner.learn(images, labels, pause=stop)
    with pytest.raises(UserError, match="got a ndarray of uint8"):
        learner.learn(np.asarray(images), labels)
    assert learner.unfinished


def test_a_label_put_right_is_right_in_the_exam_too(learnt):
    learner = Learner.from_state(learnt.state_dict())
    images, labels = learner.exam.of(0)
    other = [learner.classes[1 - label] for label in labels.tolist()]
    more, names = digits("0", "1")
    rows = learner.exam.others(more)[:40]
    learner.learn(torch.cat([images, more[rows]]), [*other, *(names[row] for row in rows)])
    assert learner.exam.of(0)[1].tolist() == [1 - label for label in labels.tolist()]
    assert learnt.exam.of(0)[1].tolist() == labels.tolist()


def test_configuration_and_settings_are_not_given_together():
    with pytest.raises(UserError, match="config: it says what width is: give one or the other"):
        Learner(LearnerConfig(), width=8)


@pytest.mark.parametrize("name", ["", "a\nb", "caf\udce9"])
def test_a_name_that_cannot_be_shown_is_no_class(name):
    new = small()
    with pytest.raises(UserError, match="expected the name of each image's class, got"):
        new.learn(digits("0")[0][:2], ["a", name])
    assert new.classes == []


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read anything")
def test_a_state_that_may_be_whole_and_cannot_be_read_is_not_passed_over(tmp_path, learnt):
    learnt.save(tmp_path / "s")
    learnt.save(tmp_path / "s")
    (tmp_path / "s").chmod(0)
    with pytest.raises(UserError, match=r"cannot read the checkpoint .*: Permission denied"):
        Learner.load(tmp_path / "s")


@pytest.mark.skipif(os.name != "posix", reason="modes of files are POSIX's")
def test_a_state_is_as_private_as_the_user_wants_it(tmp_path, learnt):
    before = os.umask(0o077)
    try:
        learnt.save(tmp_path / "s")
    finally:
        os.umask(before)
    assert (tmp_path / "s").stat().st_mode & 0o777 == 0o600
