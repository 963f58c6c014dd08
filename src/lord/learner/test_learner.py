"""A learner over sessions, in this process."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from lord.config import UserError
from lord.learner import Learner
from lord.learner.conftest import digits, small
from lord.learner.exam import SIZE
from lord.learner.session import Course, Session
from lord.methods import METHODS as KINDS

METHODS = ("lord+", "lord", "er-las", "er", "der++")


def test_it_learns_over_sessions_with_new_classes_and_old_ones_that_come_back():
    learner = small(epochs=8)
    first = learner.learn(*digits("0", "1"))
    assert (first.new_classes, first.level) == (["0", "1"], 2)
    assert learner.evaluate(*digits("0", "1", train=False)) > 90
    second = learner.learn(*digits("1", "2", "3"))
    assert second.new_classes == ["2", "3"]
    third = learner.learn(*digits("0", "3"))
    assert third.new_classes == []
    assert learner.classes == ["0", "1", "2", "3"]
    assert learner.evaluate(*digits("0", "1", "2", "3", train=False)) > 75
    assert len(third.exam) == 3
    assert learner.forgetting is not None
    sure = learner.predict(digits("0", train=False)[0][:4])
    assert all(0 <= p.confidence <= 1 and p.label in learner.classes for p in sure)


def test_a_class_that_came_seldom_stays_in_the_buffer():
    learner, (images, labels) = small(epochs=1), digits("0", "1", "2")
    rare = [row for row, label in enumerate(labels) if label == "2"][:3]
    common = [row for row, label in enumerate(labels) if label != "2"]
    for rows in (common + rare, common, common):
        learner.learn(images[rows], [labels[row] for row in rows])
    held = learner.method.buffer.held["labels"].tolist()
    assert held.count(learner.classes.index("2")) == 3


@pytest.mark.parametrize("method", METHODS)
def test_new_classes_leave_what_the_old_ones_score(method):
    learner = small(method=method)
    learner.learn(*digits("0", "1"))
    images = digits("0", "1", train=False)[0]
    before = learner.method.predict(images)
    learner.method = learner._widened(learner.shape, 4, learner._augment)
    learner.classes += ["x", "y"]
    after = learner.method.predict(images)
    assert after.shape == (len(images), 4)
    torch.testing.assert_close(after[:, :2], before)
    assert learner.method.buffer.columns["images"].any()
    learner.learn(*digits("2", "3"))


@pytest.mark.parametrize("method", [name for name, kind in KINDS.items() if kind.WIDENS])
def test_every_method_that_widens_learns_new_classes_and_old_ones_again(method):
    kept = {"buffer": 64} if "buffer" in KINDS[method].Config.__struct_fields__ else {}
    few = {"passes": 4} if method == "gdumb" else {}
    learner = Learner(method=method, network="cnn", width=8, **kept, **few)
    for names in (("0", "1"), ("0", "2"), ("1", "3")):
        learner.learn(*digits(*names))
    logits = learner.method.predict(digits("2")[0][:3])
    assert logits.shape == (3, 4)
    assert logits.isfinite().all()


@pytest.mark.parametrize("method", ["fdr", "er"])
def test_a_budget_ends_a_falling_schedule_when_it_ends_the_session(method):
    learner = small(method=method, schedule="cosine", epochs=50)
    learner.learn(*digits("0", "1"), flops=2e8)
    learner.learn(*digits("2", "3"), flops=2e8)
    descent = learner.method.descent
    assert descent.done == descent.steps
    assert descent.steps == learner.sessions[1].steps * (2 if method == "fdr" else 1)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("optimizer", ["sgd", "muon"])
def test_it_goes_on_bit_for_bit_from_what_was_saved(tmp_path, method, optimizer):
    def sessions(learner, stop_at=None):
        steps = 0

        def pause():
            nonlocal steps
            steps += 1
            if steps == stop_at:
                learner.save(tmp_path / "s.safetensors")
                raise KeyboardInterrupt

        images, labels = digits("2", "3", "4")
        learner.learn(images, labels, key="b", pause=pause)

    settings = {"method": method, "optimizer": optimizer, "momentum": 0.5, "lr": 0.02}
    whole = small(**settings)
    whole.learn(*digits("0", "1"), key="a")
    whole.save(tmp_path / "a.safetensors")
    sessions(whole)
    parts, _ = Learner.load(tmp_path / "a.safetensors")
    with pytest.raises(KeyboardInterrupt):
        sessions(parts, stop_at=7)
    parts, _ = Learner.load(tmp_path / "s.safetensors")
    assert parts.unfinished == "b"
    with pytest.raises(UserError, match="session 'b' is to be finished first"):
        parts.learn(*digits("5", "6"), key="c")
    with pytest.raises(UserError, match="session 'b' is to be finished first, on its own images"):
        parts.learn(*digits("5", "6"), key="b")
    sessions(parts)
    images = digits("0", "2", train=False)[0]
    assert torch.equal(parts.method.predict(images), whole.method.predict(images))
    for name, column in whole.method.buffer.columns.items():
        assert torch.equal(parts.method.buffer.columns[name], column)
    assert parts.sessions[-1].exam == whole.sessions[-1].exam
    assert parts.sessions[-1].flops == whole.sessions[-1].flops


def test_a_budget_of_flops_is_kept():
    free = small(epochs=3)
    cost = free.learn(*digits("0", "1", "2")).flops
    bound = small(epochs=3)
    session = bound.learn(*digits("0", "1", "2"), flops=cost / 3)
    assert session.flops == pytest.approx(cost / 3, rel=0.15)
    assert session.steps < free.sessions[0].steps / 2


def test_a_budget_of_seconds_ends_the_session():
    session = small(epochs=500).learn(*digits("0", "1"), seconds=1.0)
    assert session.seconds < 4


def test_exam_images_are_never_learnt_and_few():
    learner = small(buffer=1000, epochs=1)
    images, labels = digits("0", "1")
    learnt = set()

    def session(rows):
        learner.learn(images[rows], [labels[row] for row in rows])
        held = learner.method.buffer.columns["images"][: len(learner.method.buffer)]
        learnt.update(image.numpy().tobytes() for image in held)
        return {image.numpy().tobytes() for image in learner.exam.columns["images"]}

    everything = list(range(len(labels)))
    assert session(everything[::7]) <= session(everything)  # the folder has grown
    exam = session(everything)  # and once more
    assert not exam & learnt
    counts = learner.exam.columns["labels"].bincount().tolist()
    assert all(10 < count <= SIZE for count in counts)


@pytest.mark.parametrize("method", ["ewc-on", "si", "x-der-rpc"])
def test_methods_that_cannot_take_new_classes_are_refused(method):
    with pytest.raises(
        UserError, match=f"method: '{method}' cannot take new classes later; can: lord"
    ):
        small(method=method)


@pytest.mark.parametrize("method", ["lord", "er"])
def test_a_session_may_be_one_image(method):
    learner = small(method=method)
    learner.learn(*digits("0", "1"))
    images, labels = digits("2")
    assert learner.learn(images[:1], labels[:1]).new_classes == ["2"]


def test_small_classes_give_no_exam():
    learner = small()
    images, labels = digits("0", "1")
    few = [*range(5), *(i for i, label in enumerate(labels) if label == "1")][:10]
    session = learner.learn(images[few], [labels[i] for i in few])
    assert len(session.exam) == 1
    assert math.isnan(session.exam[0])


def test_names_may_be_numpys_and_keys_numbers(tmp_path):
    images, labels = digits("0", "1")
    learner = small(epochs=1)
    learner.learn(images, np.array(labels), key=3)
    learner.save(tmp_path / "s.safetensors")
    back, _ = Learner.load(tmp_path / "s.safetensors")
    assert (back.classes, back.sessions[0].key) == (["0", "1"], "3")


def test_modules_of_ones_own_are_told_apart():
    def module(width):
        layers = [nn.Conv2d(1, width, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        return nn.Sequential(*layers, nn.Linear(width, 2))

    one, other = module(4), module(8)
    narrow, wide = (Learner(network=own, epochs=1) for own in (one, other))
    assert narrow.config.network.network != wide.config.network.network
    assert Learner(network=one, seed=1).config.network == narrow.config.network
    narrow.learn(*digits("0", "1"))
    assert narrow.learn(*digits("2")).new_classes == ["2"]


@given(
    first=st.floats(1, 100),
    costs=st.lists(st.floats(0.5, 2), min_size=8, max_size=8),
    budget=st.floats(300, 1000),
)
def test_a_budget_is_used_up_though_the_first_steps_cost_more(first, costs, budget):
    course, spent = Course(Session("a", 1, []), "b"), 0.0
    while not course.total or course.done < course.total:
        course.done += 1
        spent += first if course.done == 1 else costs[course.done % len(costs)]
        course.settle(budget, spent)
    assert 0.8 * budget < spent < 1.2 * budget
