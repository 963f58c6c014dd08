"""Characteristics of baselines that replay labels and logits, or average weights."""

import copy
from collections import Counter

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from lord.methods import recomputed_statistics
from lord.methods.conftest import batch_of, learn, take
from lord.methods.gdumb import greedily_balanced, learning_rate
from lord.methods.terms import adjusted_cross_entropy, class_shares
from lord.streams import Stream


def test_er_las_adjusts_by_the_shares_of_the_step():
    shares = class_shares(torch.tensor([0, 0, 0, 2]), 4)
    assert shares.tolist() == [0.75, 0, 0.25, 0]
    logits = torch.randn(2, 4)
    labels = torch.tensor([0, 2])
    kept = logits[:, [0, 2]] + torch.tensor([0.75, 0.25]).log()
    wanted = F.cross_entropy(kept, torch.tensor([0, 1]))  # absent classes are left out
    assert adjusted_cross_entropy(logits, labels, shares).item() == pytest.approx(wanted.item())
    plain = torch.full((4,), 0.25)
    same = adjusted_cross_entropy(logits, labels, plain).item()
    assert same == pytest.approx(F.cross_entropy(logits, labels).item())


def test_er_aces_stream_does_not_lower_the_logits_of_old_classes(make):
    method, stream = make("er-ace")
    learn(method, stream, 2)
    task = stream.train[2]
    method.begin_task(task)
    logits = torch.randn(6, 10, requires_grad=True)
    labels = torch.tensor([4, 4, 5, 5, 4, 5])
    F.cross_entropy(method.masked(logits, labels), labels).backward()
    assert (logits.grad[:, :4] == 0).all()
    assert (logits.grad[:, 4:] != 0).all()  # the classes of the task and later ones
    logits.grad = None
    labels = torch.tensor([5, 5, 5, 5, 5, 5])  # the batch lacks one of the task's classes
    F.cross_entropy(method.masked(logits, labels), labels).backward()
    assert (logits.grad[:, 4] == 0).all()
    assert (logits.grad[:, 6:] != 0).all()


def test_mean_ers_average_follows_its_decay(make):
    method, stream = make("mean-er", rate=1.0, decay=0.9)
    method.begin_task(stream.train[0])
    expected = None
    for step in range(14):
        take(method, stream.train[0], step)
        now = method.student.head.weight.detach()
        a = min(1 - 1 / (step + 1), 0.9)
        expected = now.clone() if expected is None else a * expected + (1 - a) * now
    torch.testing.assert_close(method.average.module.head.weight, expected)
    assert method.predictor is method.average.module


def test_cls_er_stays_near_the_average_with_the_more_probable_label(make):
    method, stream = make("cls-er")
    learn(method, stream, 2, steps=8)
    x = method.augment(batch_of(stream.train[0], 0).images)
    labels = batch_of(stream.train[0], 0).labels
    chosen = method.targets(x, labels)
    stable, plastic = method.average(x), method.plastic(x)
    at = labels[:, None]
    best = torch.maximum(stable.softmax(1).gather(1, at), plastic.softmax(1).gather(1, at))
    torch.testing.assert_close(chosen.softmax(1).gather(1, at), best)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.integers(1, 20), st.integers(0, 9))
def test_gdumbs_buffer_is_balanced(labels, size, seed):
    source = torch.Generator().manual_seed(seed)
    kept = greedily_balanced(labels, 0, size, source)
    assert len(kept) == min(size, len(labels)) == len(set(kept))
    have = Counter(labels[row] for row in kept)
    # A class has fewer rows only if all its rows are held.
    for label, count in Counter(labels).items():
        assert have[label] >= min(count, max(have.values()) - 1)


def test_gdumb_trains_only_on_its_buffer_and_from_scratch(make):
    method, stream = make("gdumb", passes=2)
    learn(method, stream, 1)
    first = copy.deepcopy(method.student.state_dict())
    with torch.no_grad():
        for parameter in method.student.parameters():
            parameter.fill_(7)  # GDumb does not use these weights
    method.end_task(stream.train[0])
    assert all(p.abs().max() < 6 for p in method.student.parameters())
    assert any(not torch.equal(first[k], v) for k, v in method.student.state_dict().items())


def test_gdumb_trains_after_the_last_task_to_be_learned(make):
    method, stream = make("gdumb", passes=1, anytime=False, stop_after=2)
    first = copy.deepcopy(method.student.state_dict())
    for task in stream.train:
        now = method.student.state_dict()
        assert all(torch.equal(first[name], now[name]) for name in first)
        learn(method, Stream((task,), (task,), stream.class_names), 1)
    assert len(stream.train) == 2
    assert any(not torch.equal(first[k], v) for k, v in method.student.state_dict().items())


def test_er_las_without_adjustment_is_er(make):
    losses = []
    for name, settings in (("er", {}), ("er-las", {"tau": 0.0})):
        method, stream = make(name, **settings)
        learn(method, stream, 1)
        losses.append(take(method, stream.train[0], 0)["loss"].item())
    assert losses[0] == losses[1]


def test_statistics_do_not_change_if_the_buffer_is_too_small_to_recompute_them(make):
    method, _ = make("esmer")
    before = copy.deepcopy(method.predictor.state_dict())
    assert len(method.buffer) == 0
    with recomputed_statistics(method):
        now = method.predictor.state_dict()
        assert all(torch.equal(before[name], now[name]) for name in before)


def test_gdumbs_learning_rate_restarts_on_longer_and_longer_cosines():
    rates = [learning_rate(epoch) for epoch in range(9)]
    assert rates[0] == 0.005
    assert [epoch for epoch, rate in enumerate(rates) if rate == 0.05] == [1, 2, 4, 8]


def test_der_replays_logits_and_no_labels(make):
    method, stream = make("der", alpha=0.3)
    learn(method, stream, 1)
    before = take(method, stream.train[0], 0)["loss"].item()
    method.buffer.columns["labels"].fill_(0)
    assert before > 0
    state = copy.deepcopy(method.state_dict())
    losses = []
    for labels in (0, 1):
        method.load_state_dict(copy.deepcopy(state))
        method.buffer.columns["labels"].fill_(labels)
        losses.append(take(method, stream.train[0], 1)["loss"].item())
    assert losses[0] == losses[1]


def test_er_all_keeps_every_image_once_and_draws_all_equally_often(make):
    method, stream = make("er-all", replay=8)
    for task in stream.train[:2]:
        method.begin_task(task)
        for step in range(8):  # more than one epoch
            take(method, task, step, size=64)
    seen = [
        torch.cat([getattr(task, name) for task in stream.train[:2]])
        for name in ("images", "labels")
    ]
    held = method.buffer.held
    assert len(method.buffer) == method.buffer.size == len(seen[1])
    assert Counter(held["labels"].tolist()) == Counter(seen[1].tolist())
    rows = [
        Counter(tuple(x.flatten().tolist()) for x in each) for each in (held["images"], seen[0])
    ]
    assert rows[0] == rows[1]
    assert method.buffer.nbytes == sum(each.nbytes for each in seen)
    drawn = Counter(row for _ in range(800) for row in method.buffer.draw(8).rows.tolist())
    expected = 800 * 8 / len(seen[1])
    assert max(abs(drawn[row] - expected) for row in range(len(seen[1]))) < 5 * expected**0.5
