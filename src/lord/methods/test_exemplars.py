"""Characteristics of baselines that choose exemplars, or correct predictions."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from lord.costs import FlopCount
from lord.methods import Progress, recomputed_statistics
from lord.methods.conftest import batch_of, learn, take
from lord.methods.icarl import herded
from lord.methods.xder import polytope

vectors = st.lists(st.floats(-10, 10), min_size=4, max_size=4)


def test_icarl_classifies_by_the_nearest_mean_of_exemplars(make):
    method, stream = make("icarl")
    learn(method, stream, 2, steps=20)
    images = stream.test[1].images
    means = method.class_means()[:4]
    features = method._features(images)
    nearest = torch.cdist(features, means).argmin(1)
    assert torch.equal(method.predict(images)[:, :4].argmax(1), nearest)
    with recomputed_statistics(method):  # other statistics, other features, other means
        again = method.class_means()[:4]
        assert not torch.equal(again, means)
        nearest = torch.cdist(method._features(images), again).argmin(1)
        assert torch.equal(method.predict(images)[:, :4].argmax(1), nearest)


def test_icarls_exemplars_are_balanced_and_cut_from_the_end(make):
    method, stream = make("icarl", buffer=60)
    learn(method, stream, 1)
    first = method.buffer.columns["images"][:30].clone()
    learn_next = stream.train[1]
    method.begin_task(learn_next)
    take(method, learn_next, 0)
    method.end_task(learn_next)
    assert method.buffer.columns["labels"].bincount().tolist() == [15] * 4
    assert torch.equal(method.buffer.columns["images"][:15], first[:15])


@given(st.integers(2, 30), st.integers(1, 40), st.integers(0, 99))
def test_herding_keeps_the_running_mean_near_the_mean(rows, count, seed):
    features = torch.randn(rows, 5, generator=torch.Generator().manual_seed(seed))
    chosen = herded(features, count).tolist()
    assert len(chosen) == min(count, rows) == len(set(chosen))
    mean, total = features.mean(0), torch.zeros(5)
    for place, row in enumerate(chosen, start=1):  # each is the best of the remaining rows
        left = [r for r in range(rows) if r not in chosen[: place - 1]]
        distances = {r: ((total + features[r]) / place - mean).norm().item() for r in left}
        assert distances[row] <= min(distances.values()) + 1e-5
        total = total + features[row]


def test_the_corners_of_the_polytope_are_equally_far_apart():
    corners = polytope(7).weight
    inner = corners @ corners.T
    wanted = torch.full((7, 7), -1 / 6).fill_diagonal_(1.0)
    torch.testing.assert_close(inner, wanted)


def test_x_ders_stream_has_no_gradient_for_past_and_future_classes(make):
    method, stream = make("x-der-rpc", alpha=0.0, beta=0.0, eta=0.0)
    learn(method, stream, 2, steps=8)
    method.begin_task(stream.train[2])
    caught = []

    def catch(x):
        logits = type(method).logits(method, x)
        logits.retain_grad()
        caught.append(logits)
        return logits

    method.logits = catch
    take(method, stream.train[2], 0)
    gradient = caught[0].grad
    assert (gradient[:, :4] == 0).all()
    assert (gradient[:, 6:] == 0).all()
    assert (gradient[:, 4:6] != 0).all()


def test_x_ders_updated_logits_stay_below_that_of_the_label(make):
    method, _ = make("x-der-rpc")
    stored, now = torch.randn(6, 10).abs(), 9 * torch.randn(6, 10).abs()
    labels = torch.tensor([0, 1, 0, 1, 0, 1])
    at = (torch.arange(10) >= 2).expand(6, 10)
    fresh = method.updated(stored, now, labels, at)
    assert torch.equal(fresh[:, :2], stored[:, :2])
    truth = stored.gather(1, labels[:, None]).squeeze(1)
    top = now[:, 2:].max(1).values
    for row in range(6):
        limit = 0.85 * truth[row] if top[row] > truth[row] else top[row]
        assert fresh[row, 2:].max().item() == pytest.approx(limit.item(), rel=1e-5)


def test_x_ders_updated_logits_stay_finite_if_that_of_the_label_is_not_positive(make):
    method, _ = make("x-der-rpc")
    stored, now = -torch.rand(4, 10), 1e-3 * torch.rand(4, 10)
    at = (torch.arange(10) >= 2).expand(4, 10)
    fresh = method.updated(stored, now, torch.tensor([0, 1, 0, 1]), at)
    assert torch.equal(fresh[:, 2:], now[:, 2:])


def test_only_x_ders_first_draw_updates_running_statistics(make):
    method, stream = make("x-der-rpc")
    learn(method, stream, 1)
    method.begin_task(stream.train[1])
    calls = []
    student = method.student
    handle = student.bn.register_forward_hook(
        lambda layer, args, out: calls.append((layer.momentum, len(args[0])))
    )
    take(method, stream.train[1], 0)
    handle.remove()
    assert [momentum for momentum, _ in calls] == [0.0, 0.1, 0.0]
    assert calls[1][1] == 32 + 16 // 1  # the draw, and the images of the batch that join it


def test_x_der_keeps_logits_that_the_first_draw_updated(make):
    method, stream = make("x-der-rpc", buffer=32)
    learn(method, stream, 1)
    method.begin_task(stream.train[1])
    held = method.buffer.columns["logits"].clone()
    both = method.buffer.draw(32), method.buffer.draw(32)  # each has every image of the buffer
    for number, draw in enumerate(both, 1):
        method._update(draw, torch.full_like(draw.logits, number))
    renewed = (method.buffer.columns["logits"] != held).any(1)
    assert renewed.all()  # the probability is 1 when an image is drawn first


def test_icarl_knows_new_classes_though_it_predicted_just_before_the_tasks_end(make):
    method, stream = make("icarl")
    learn(method, stream, 1)
    task = stream.train[1]
    method.begin_task(task)
    for step in range(6):
        take(method, task, step)
    method.predict(task.images[:2])
    method.end_task(task)
    assert method.predict(task.images).argmax(1).unique().tolist() != [0, 1]
    assert (method.class_means()[list(task.classes)] != 0).any()


def test_icarl_learns_the_labels_of_classes_that_recur(make):
    ends = []
    for shift in (0, 1):
        method, stream = make("icarl")
        learn(method, stream, 1)
        task = stream.train[0]
        method.begin_task(task)
        batch = batch_of(task, 0)
        method.step(
            type(batch)(batch.images, (batch.labels + shift) % 2, batch.places), Progress(0, 100)
        )
        ends.append(method.student.head.weight.detach().clone())
    assert not torch.equal(*ends)


def test_icarls_loss_does_not_include_future_classes(make):
    """Source: Rebuffi et al. 2017, eq. for l(Theta): a sum over the classes observed so far."""
    method, stream = make("icarl")
    method.begin_task(stream.train[0])
    before = method.student.head.weight.detach().clone()
    take(method, stream.train[0], 0)
    moved = (method.student.head.weight != before).any(1)
    assert moved.tolist() == [True] * 2 + [False] * 8


def test_icarls_class_means_are_part_of_its_training(make):
    method, stream = make("icarl")
    learn(method, stream, 1)
    with FlopCount() as count:
        method.predict(stream.test[0].images[:1])
    with FlopCount() as again:
        method.class_means()
    assert again.total > 20 * count.total  # of the means, of all exemplars, there was none left


def test_x_der_updates_stored_logits_of_the_newest_and_later_classes(make):
    """Source: the authors' code, which updates present and future logits at the end of a task."""
    method, stream = make("x-der-rpc", buffer=60)
    learn(method, stream, 2)
    before = {name: column.clone() for name, column in method.buffer.held.items()}
    task = stream.train[2]
    method.begin_task(task)
    method.end_task(task)
    held, each = method.buffer.held, 10
    first = (before["labels"] == 0).nonzero().flatten()[:each]
    assert torch.equal(held["images"][:each], before["images"][first])
    changed = (held["logits"][:each] != before["logits"][first]).any(0)
    assert changed.tolist() == [False] * 4 + [True] * 6


def test_fdr_fills_a_buffer_that_is_smaller_than_the_number_of_tasks(make):
    method, stream = make("fdr", buffer=3, replay=2)
    learn(method, stream, 5, steps=2)
    assert len(method.buffer) == 3
    assert method.buffer.held["task"].tolist() == [2, 3, 4]


def test_er_tricks_correct_only_the_newest_classes_and_lower_the_loss(make):
    method, stream = make("er-tricks", lr=0.02)
    learn(method, stream, 2, steps=30)
    raw = method.student.eval()(method.augment.normalise(stream.test[0].images))
    method.student.train()
    logits = method.predict(stream.test[0].images)
    scale, shift = method.correction.tolist()
    torch.testing.assert_close(logits[:, [0, 1, *range(4, 10)]], raw[:, [0, 1, *range(4, 10)]])
    torch.testing.assert_close(logits[:, 2:4], scale * raw[:, 2:4] + shift)
    assert (scale, shift) != (1.0, 0.0)
    labels = method.buffer.columns["labels"][: len(method.buffer)]
    images = method.buffer.columns["images"][: len(method.buffer)]
    before = F.cross_entropy(method.student.eval()(method.augment.normalise(images)), labels)
    method.student.train()
    assert F.cross_entropy(method.predict(images), labels) < before


def test_er_tricks_learning_rate_falls_with_every_image(make):
    method, stream = make("er-tricks", decay=0.999)
    method.begin_task(stream.train[0])
    for step in range(3):
        take(method, stream.train[0], step)
    rate, first = method.optimizer.torch.param_groups[0]["lr"], method.context.optimizer.lr
    assert rate == pytest.approx(first * 0.999**32)
    assert method.peak == pytest.approx(first * 0.999**48)


def test_esmer_does_not_offer_images_with_unusual_losses(make):
    method, stream = make("esmer", settling=0.001, rate=1.0, decay=0.5)
    task = stream.train[0]
    learn(method, stream, 1, steps=40)
    offered = method.buffer.offered
    wrong = batch_of(task, 0)
    labels = 1 - wrong.labels  # the averaged network is sure that these labels are wrong
    method.step(type(wrong)(wrong.images, labels, wrong.places), Progress(0, 100))
    held_back = method.buffer.offered - offered
    method.step(wrong, Progress(0, 100))
    taken = method.buffer.offered - offered - held_back
    assert held_back < taken


def test_esmer_does_not_replay_a_single_image(make):
    method, stream = make("esmer", network="resnet18", settling=0.001)  # ends in 1 x 1 maps
    method.begin_task(stream.train[0])
    task = stream.train[0]
    method.buffer.offer(images=task.images[:1], labels=task.labels[:1])
    assert math.isfinite(take(method, task, 0)["loss"].item())


def test_esmer_offers_no_images_at_the_start_of_a_task(make):
    method, stream = make("esmer", settling=0.5)
    method.begin_task(stream.train[0])
    half = method.context.steps(stream.train[0]) // 2
    assert half > 3
    for step in range(half):
        take(method, stream.train[0], step)
    assert method.buffer.offered == 0
    assert method.mean.item() == 0
    for step in range(half, half + 4):
        take(method, stream.train[0], step)
    assert method.buffer.offered > 0
    assert math.isfinite(method.mean.item())
