"""Sessions of a learner: classes, budgets, held-out images, and exact continuation."""

import copy
import math
import pickle
import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from lord.conftest import refused
from lord.learner import Learner
from lord.learner.conftest import digits, small
from lord.learner.held_out import MOST
from lord.learner.session import OpenSession, Session
from lord.methods import METHODS
from lord.methods.optim import Progress, share_of_peak
from lord.streams import Cursor


def test_a_learner_learns_new_classes_and_old_ones_over_sessions():
    learner = small(epochs=8)
    first = learner.learn(*digits("0", "1"))
    assert (first.new_classes, first.level) == (["0", "1"], 5)
    assert learner.evaluate(*digits("0", "1", train=False)) > 90
    second = learner.learn(*digits("1", "2", "3"))
    assert second.new_classes == ["2", "3"]
    third = learner.learn(*digits("0", "3"))
    assert third.new_classes == []
    assert learner.classes == ["0", "1", "2", "3"]
    assert learner.evaluate(*digits("0", "1", "2", "3", train=False)) > 75
    assert len(third.held_out) == 3
    assert learner.forgetting is not None
    predictions = learner.predictions(digits("0", train=False)[0][:4])
    assert all(0 <= each.confidence <= 1 and each.label in learner.classes for each in predictions)


def test_a_rare_class_stays_in_the_buffer():
    learner, (images, labels) = small(epochs=1), digits("0", "1", "2")
    rare = [row for row, label in enumerate(labels) if label == "2"][:3]
    common = [row for row, label in enumerate(labels) if label != "2"]
    for rows in (common + rare, common, common):
        learner.learn(images[rows], [labels[row] for row in rows])
    held = learner.method.buffer.held["labels"].tolist()
    assert held.count(learner.classes.index("2")) == 3


@pytest.mark.parametrize("method", ["lord+", "lord-fused", "er"])
def test_adding_classes_does_not_change_the_logits_of_old_ones(method):
    learner = small(method=method)
    learner.learn(*digits("0", "1"))
    images = digits("0", "1", train=False)[0]
    before = learner.method.predict(images)
    learner.method = learner._widened(learner._inputs, 4, learner._augment)
    learner.classes += ["x", "y"]
    after = learner.method.predict(images)
    assert after.shape == (len(images), 4)
    torch.testing.assert_close(after[:, :2], before)
    assert learner.method.buffer.columns["images"].any()
    learner.learn(*digits("2", "3"))


QUICK = ("lord+", "lord-fused", "der++", "gdumb", "icarl", "ranpac")
WIDENING = [
    pytest.param(name, marks=() if name in QUICK else pytest.mark.slow)
    for name, recipe in METHODS.items()
    if recipe.method.traits.widens
]


@pytest.mark.parametrize("method", WIDENING)
def test_every_method_that_widens_learns_new_classes_and_old_ones_again(method):
    settings = {"buffer": 64} if "buffer" in METHODS[method].settings else {}
    settings |= {"passes": 4} if method == "gdumb" else {}
    settings |= {} if METHODS[method].method.traits.features == "only" else {"epochs": 1}
    learner = Learner(method=method, network="cnn", width=8, **settings)
    for names in (("0", "1"), ("0", "2"), ("1", "3")):
        learner.learn(*digits(*names))
    logits = learner.method.predict(digits("2")[0][:3])
    assert logits.shape == (3, 4)
    assert logits.isfinite().all()


@pytest.mark.slow
def test_a_budget_of_flops_chooses_the_width_and_the_student_never_shrinks():
    learner = small(method="lord+", epochs=1, width=8)
    for names, flops in ((("0", "1"), 1e8), (("2", "3"), 2e10), (("4", "5"), 1e8), (("6",), None)):
        learner.learn(*digits(*names), flops=flops)
    first, second, third, last = [session.level for session in learner.sessions]
    assert first < 5 < second  # without a budget, the first session has level 5
    assert second == third <= last


@pytest.mark.parametrize("method", ["fdr", "er"])
def test_a_budget_that_ends_a_session_ends_its_schedule_too(method):
    learner = small(method=method, schedule="cosine", epochs=50)
    learner.learn(*digits("0", "1"), flops=5e8)
    learner.learn(*digits("2", "3"), flops=5e8)
    steps = learner.sessions[1].steps * (2 if method == "fdr" else 1)
    last = share_of_peak("cosine", Progress(steps - 1, steps).fraction)
    rates = [group["lr"] for group in learner.method.optimizer.torch.param_groups]
    assert rates == [learner.method.optimizer.peak * last]


@pytest.mark.parametrize(
    ("method", "optimizer"),
    [
        ("lord+", "muon"),
        ("lord-fused", "muon"),
        ("er", "sgd"),
        *(
            pytest.param(n, "muon", marks=pytest.mark.slow)
            for n in ("lord", "er-las", "er", "der++")
        ),
        pytest.param("lord", "sgd", marks=pytest.mark.slow),
    ],
)
def test_a_learner_continues_exactly_from_what_was_saved(tmp_path, method, optimizer):
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

    settings = {"method": method, "optimizer": optimizer, "momentum": 0.5, "lr": 0.02, "epochs": 1}
    whole = small(**settings)
    whole.learn(*digits("0", "1"), key="a")
    whole.save(tmp_path / "a.safetensors")
    sessions(whole)
    parts = Learner.load(tmp_path / "a.safetensors")
    with pytest.raises(KeyboardInterrupt):
        sessions(parts, stop_at=7)
    parts = Learner.load(tmp_path / "s.safetensors")
    assert parts.unfinished == "b"
    for key in ("b", "c"):
        with refused(None, problem=re.compile("session 'b' is unfinished")):
            parts.learn(*digits("5", "6"), key=key)
    sessions(parts)
    images = digits("0", "2", train=False)[0]
    assert torch.equal(parts.method.predict(images), whole.method.predict(images))
    for name, column in whole.method.buffer.columns.items():
        assert torch.equal(parts.method.buffer.columns[name], column)
    assert parts.sessions[-1].held_out == whole.sessions[-1].held_out
    assert parts.sessions[-1].flops == whole.sessions[-1].flops


def test_a_session_makes_enough_steps_unless_its_passes_are_given(tmp_path):
    images, labels = digits("0", "1")
    for epochs, fewest, most in ((None, 150, 160), (2, 10, 20)):
        learner = small(epochs=epochs)
        learner.learn(images[20:], labels[20:])
        learner.save(tmp_path / "state")
        again = Learner.load(tmp_path / "state")
        again.learn(images[:20], labels[:20])
        assert fewest <= again.sessions[0].steps <= most
        assert again.sessions[1].steps == (20 if epochs is None else 2)  # one batch a pass


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


def test_held_out_images_are_never_learned_and_few():
    learner = small(buffer=1000, epochs=1)
    images, labels = digits("0", "1")
    learned = set()

    def session(rows):
        learner.learn(images[rows], [labels[row] for row in rows])
        held = learner.method.buffer.columns["images"][: len(learner.method.buffer)]
        learned.update(image.numpy().tobytes() for image in held)
        return {image.numpy().tobytes() for image in learner.held_out.columns["images"]}

    everything = list(range(len(labels)))
    assert session(everything[::7]) <= session(everything)  # the folder has grown
    held_out = session(everything)  # and once more
    assert not held_out & learned
    counts = learner.held_out.columns["labels"].bincount().tolist()
    assert all(10 < count <= MOST for count in counts)


@pytest.mark.parametrize("method", ["ewc-on", "si", "x-der-rpc"])
def test_methods_that_cannot_take_new_classes_are_refused(method):
    with refused("method", given=method, problem="cannot take new classes later"):
        Learner(method=method)


@pytest.mark.parametrize("method", ["lord", "er"])
def test_a_session_may_be_one_image(method):
    learner = small(method=method)
    learner.learn(*digits("0", "1"))
    images, labels = digits("2")
    assert learner.learn(images[:1], labels[:1]).new_classes == ["2"]


def test_small_classes_give_no_held_out_images():
    learner = small()
    images, labels = digits("0", "1")
    few = [*range(5), *(i for i, label in enumerate(labels) if label == "1")][:10]
    session = learner.learn(images[few], [labels[i] for i in few])
    assert len(session.held_out) == 1
    assert math.isnan(session.held_out[0])


def test_labels_may_be_a_numpy_array_and_keys_numbers(tmp_path):
    images, labels = digits("0", "1")
    learner = small(epochs=1)
    learner.learn(images, np.array(labels), key=3)
    learner.save(tmp_path / "s.safetensors")
    back = Learner.load(tmp_path / "s.safetensors")
    assert (back.classes, back.sessions[0].key) == (["0", "1"], "3")


def test_two_modules_of_one_class_get_two_names():
    def module(width):
        layers = [nn.Conv2d(1, width, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        return nn.Sequential(*layers, nn.Linear(width, 2))

    one, other = module(4), module(8)
    narrow, wide = (Learner(network=each, epochs=1) for each in (one, other))
    assert narrow.config.network.network != wide.config.network.network
    assert Learner(network=one, seed=1).config.network == narrow.config.network
    narrow.learn(*digits("0", "1"))
    assert narrow.learn(*digits("2")).new_classes == ["2"]


@given(
    first=st.floats(1, 100),
    costs=st.lists(st.floats(0.5, 2), min_size=8, max_size=8),
    budget=st.floats(300, 1000),
)
def test_a_budget_is_used_up_although_the_first_step_costs_more(first, costs, budget):
    opened, spent = OpenSession(Session("a", 1, []), "b", Cursor(2, torch.Generator())), 0.0
    while not opened.finished:
        opened.done += 1
        spent += first if opened.done == 1 else costs[opened.done % len(costs)]
        opened.plan_budget(budget, spent)
    assert 0.8 * budget < spent < 1.2 * budget


@pytest.mark.parametrize("layout", ["NumPy", "channels last", "NumPy, channels last", "read-only"])
def test_images_may_come_in_several_layouts(layout):
    def converted(images):
        if "last" in layout:
            images = images.permute(0, 2, 3, 1)
        if layout == "channels last":
            return images
        array = images.numpy()
        if layout == "read-only":
            array.flags.writeable = False
        return array

    images, labels = digits("0", "1")
    images = images.repeat(1, 3, 1, 1)
    plain, other = small(epochs=1), small(epochs=1)
    plain.learn(images, labels)
    other.learn(converted(images.clone()), labels)
    assert other.shape == (3, 8, 8)
    assert np.array_equal(
        other.predict_proba(converted(images.clone())[:5]), plain.predict_proba(images[:5])
    )


def test_a_learner_is_copied_and_pickled_in_the_middle_of_a_session():
    def stop():
        raise KeyboardInterrupt

    learner, (images, labels) = small(), digits("0", "1")
    with pytest.raises(KeyboardInterrupt):
        learner.learn(images, labels, pause=stop)
    copies = [copy.deepcopy(learner), pickle.loads(pickle.dumps(learner))]
    learner.learn(images, labels)
    for each in copies:
        assert each.unfinished
        each.learn(images, labels)
        assert np.array_equal(each.predict_proba(images), learner.predict_proba(images))
    module = Learner(network=nn.Sequential(nn.Flatten(), nn.Linear(64, 2)), epochs=1)
    module.learn(images, labels)
    again = pickle.loads(pickle.dumps(module))
    assert np.array_equal(again.predict_proba(images), module.predict_proba(images))
