"""Facts that characterise the baselines on weights, gradients, exemplars and old outputs."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from lord.config import UserError
from lord.methods import recomputed_statistics
from lord.methods.agem import projected
from lord.methods.conftest import batch_of, learn
from lord.methods.icarl import herded
from lord.methods.xder import polytope
from lord.streams import Task

vectors = st.lists(st.floats(-10, 10), min_size=4, max_size=4)


def test_lwf_holds_the_old_outputs_on_the_new_tasks_images(make):
    method, stream = make("lwf", alpha=30.0, lr=0.02)
    learn(method, stream, 1, steps=30)
    task = stream.train[1]
    method.begin_task(task)
    x = method.augment.normalise(task.images)
    assert method.recorded.shape == (len(task.labels), 2)

    def drift(alpha):
        free, _ = make("lwf", alpha=alpha, lr=0.02)
        learn(free, stream, 1, steps=30)
        free.begin_task(task)
        for step in range(30):
            free.step(batch_of(task, step))
        now = free.student(x)[:, :2].detach() / 2
        return F.kl_div(
            now.log_softmax(1), (free.recorded / 2).softmax(1), reduction="batchmean"
        ).item()

    assert drift(30.0) < 0.3 * drift(0.0)


def test_lwf_warms_up_the_new_classes_of_the_head_and_nothing_else(make):
    method, stream = make("lwf")
    learn(method, stream, 1)
    before = {name: p.clone() for name, p in method.student.state_dict().items()}
    method.begin_task(stream.train[1])
    for name, value in method.student.state_dict().items():
        if name.startswith("head"):
            changed = (value != before[name]).flatten(1).any(1) if value.dim() > 1 else None
            if changed is not None:
                assert changed.tolist() == [False, False, True, True] + [False] * 6
        else:
            assert torch.equal(value, before[name]), name


def test_ewcs_penalty_is_zero_at_the_old_optimum_and_grows_with_the_fisher_information(make):
    method, stream = make("ewc-on")
    learn(method, stream, 1)
    assert method.penalty().item() == 0
    with torch.no_grad():
        for parameter in method.student.parameters():
            parameter.add_(0.01)
    moved = method.penalty().item()
    assert moved == pytest.approx(1e-4 * sum(f.sum().item() for f in method.fisher), rel=1e-3)
    method.fisher = [3 * f for f in method.fisher]
    assert method.penalty().item() == pytest.approx(3 * moved)


def test_ewcs_fisher_information_is_the_mean_of_squared_gradients_weighted_by_likelihood(make):
    method, stream = make("ewc-on", gamma=0.5)
    learn(method, stream, 1, steps=2)
    old = [f.clone() for f in method.fisher]
    task = stream.train[1]
    few = Task(1, task.classes, task.images[:3], task.labels[:3])
    method.end_task(few)
    place = [n for n, _ in method.student.named_parameters()].index("head.bias")
    probabilities = F.softmax(method.predict(few.images), 1)  # the bias's gradient is y - p
    chosen = F.one_hot(few.labels, 10)
    likelihood = (probabilities * chosen).sum(1, keepdim=True)
    wanted = 0.5 * old[place] + (likelihood * (chosen - probabilities) ** 2).mean(0)
    torch.testing.assert_close(method.fisher[place], wanted)


def test_sis_importances_add_up_to_what_the_loss_fell_along_the_way(make):
    method, stream = make("si", lr=0.001, c=0.0)
    task = stream.train[0]
    method.begin_task(task)
    losses = [method.step(batch_of(task, 0, size=64))["loss"].item() for _ in range(15)]
    part = sum(p.sum().item() for p in method.part)
    # The images differ a little from step to step by augmentation, and steps are not infinitesimal.
    assert part == pytest.approx(losses[0] - losses[-1], rel=0.35)
    assert part > 0


def test_sis_gradients_are_clipped_and_its_anchor_is_the_last_tasks_end(make):
    method, stream = make("si", lr=1.0, c=1e6)
    learn(method, stream, 1, steps=1)
    before = [p.detach().clone() for p in method.student.parameters()]
    assert all(torch.equal(a, p) for a, p in zip(method.anchor, before, strict=True))
    method.importance = [torch.ones_like(p) for p in before]
    with torch.no_grad():
        for parameter in method.student.parameters():
            parameter.add_(0.5)
    method.step(batch_of(stream.train[0], 0))
    for old, now in zip(before, method.student.parameters(), strict=True):
        torch.testing.assert_close(now.detach(), old + 0.5 - 1.0)  # back, but by one at most


@given(vectors, vectors)
def test_a_gems_gradient_never_opposes_the_memorys(own, reference):
    g, r = torch.tensor(own), torch.tensor(reference)
    (result,) = projected([g], [r])
    scale = 1 + r.norm() * g.norm()
    assert (result @ r).item() >= -1e-5 * scale
    if (g @ r).item() >= 0:
        assert torch.equal(result, g)
    elif r.norm() > 1e-3:  # the least change that will do
        assert (result @ r).item() == pytest.approx(0, abs=1e-5 * float(scale))


@pytest.mark.parametrize(("offers", "held"), [("every", 200), ("last", 64)])
def test_a_gems_buffer_takes_every_batch_or_one_at_each_tasks_end(make, offers, held):
    method, stream = make("a-gem", offers=offers)
    learn(method, stream, 2, steps=20)
    assert len(method.buffer) == held


def test_fdrs_buffer_has_the_first_images_of_each_task_in_equal_parts(make):
    method, stream = make("fdr", buffer=100)
    learn(method, stream, 3)
    tasks = method.buffer.columns["task"][: len(method.buffer)].tolist()
    assert [tasks.count(t) for t in range(3)] == [33, 33, 33]
    for index in range(3):
        place = tasks.index(index)
        kept = method.buffer.columns["images"][place : place + 33]
        assert torch.equal(kept, stream.train[index].images[:33])


def test_fdr_returns_towards_the_stored_outputs(make):
    method, stream = make("fdr", buffer=64, lr=0.1)
    learn(method, stream, 1, steps=30)
    method.begin_task(stream.train[1])
    images, stored = method.buffer.columns["images"], method.buffer.columns["logits"]

    def distance():
        now = method.student(method.augment.normalise(images)).softmax(1)
        return torch.linalg.vector_norm(now - stored.softmax(1), dim=1).mean().item()

    method.config = type(method.config)(alpha=0.0, buffer=64)
    for step in range(10):
        method.step(batch_of(stream.train[1], step))
    away = distance()
    method.config = type(method.config)(alpha=1.0, buffer=64)
    for step in range(30):
        method.step(batch_of(stream.train[1], step))
    assert distance() < 0.7 * away


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
    method.step(batch_of(learn_next, 0))
    method.end_task(learn_next)
    assert method.buffer.columns["labels"].bincount().tolist() == [15] * 4
    assert torch.equal(method.buffer.columns["images"][:15], first[:15])


@given(st.integers(2, 30), st.integers(1, 40), st.integers(0, 99))
def test_herding_keeps_the_running_mean_near_the_mean(rows, count, seed):
    features = torch.randn(rows, 5, generator=torch.Generator().manual_seed(seed))
    chosen = herded(features, count).tolist()
    assert len(chosen) == min(count, rows) == len(set(chosen))
    mean, total = features.mean(0), torch.zeros(5)
    for place, row in enumerate(chosen, start=1):  # each is the best that was left
        left = [r for r in range(rows) if r not in chosen[: place - 1]]
        distances = {r: ((total + features[r]) / place - mean).norm().item() for r in left}
        assert distances[row] <= min(distances.values()) + 1e-5
        total = total + features[row]


def test_the_corners_of_the_polytope_are_equally_far_apart():
    corners = polytope(7).weight
    inner = corners @ corners.T
    wanted = torch.full((7, 7), -1 / 6).fill_diagonal_(1.0)
    torch.testing.assert_close(inner, wanted)


def test_x_ders_stream_leaves_past_and_future_classes_alone(make):
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
    method.step(batch_of(stream.train[2], 0))
    gradient = caught[0].grad
    assert (gradient[:, :4] == 0).all()
    assert (gradient[:, 6:] == 0).all()
    assert (gradient[:, 4:6] != 0).all()


def test_x_ders_transplanted_logits_stay_below_that_of_the_label(make):
    method, _ = make("x-der-rpc")
    stored, now = torch.randn(6, 10).abs(), 9 * torch.randn(6, 10).abs()
    labels = torch.tensor([0, 1, 0, 1, 0, 1])
    at = (torch.arange(10) >= 2).expand(6, 10)
    fresh = method.transplanted(stored, now, labels, at)
    assert torch.equal(fresh[:, :2], stored[:, :2])
    truth = stored.gather(1, labels[:, None]).squeeze(1)
    top = now[:, 2:].max(1).values
    for row in range(6):
        limit = 0.85 * truth[row] if top[row] > truth[row] else top[row]
        assert fresh[row, 2:].max().item() == pytest.approx(limit.item(), rel=1e-5)


def test_x_der_moves_running_statistics_only_with_its_first_draw(make):
    method, stream = make("x-der-rpc")
    learn(method, stream, 1)
    method.begin_task(stream.train[1])
    calls = []
    student = method.student
    handle = student.bn.register_forward_hook(
        lambda layer, args, out: calls.append((layer.momentum, len(args[0])))
    )
    method.step(batch_of(stream.train[1], 0))
    handle.remove()
    assert [momentum for momentum, _ in calls] == [0.0, 0.1, 0.0]
    assert calls[1][1] == 32 + 16 // 2  # the draw, and the stream's share of two tasks


def test_x_der_refuses_tasks_that_share_classes(make):
    method, stream = make("x-der-rpc")
    method.begin_task(stream.train[0])
    with pytest.raises(UserError, match="needs tasks of new classes only"):
        method.begin_task(stream.train[0])


def test_er_tricks_correct_the_newest_classes_only_and_for_the_better(make):
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
        method.step(batch_of(stream.train[0], step))
    assert method.descent.torch.param_groups[0]["lr"] == pytest.approx(0.03 * 0.999**32, rel=0.7)
    assert method.peak == pytest.approx(method.setting.optimizer.lr * 0.999**48)


def test_esmer_holds_back_what_is_unusual(make):
    method, stream = make("esmer", settling=0.001, rate=1.0, decay=0.5)
    task = stream.train[0]
    learn(method, stream, 1, steps=40)
    offered = method.buffer.offered
    wrong = batch_of(task, 0)
    labels = 1 - wrong.labels  # labels the average is sure are wrong
    method.step(type(wrong)(wrong.images, labels, wrong.places))
    refused = method.buffer.offered - offered
    method.step(wrong)
    taken = method.buffer.offered - offered - refused
    assert refused < taken


def test_esmer_offers_nothing_while_a_task_settles(make):
    method, stream = make("esmer", settling=0.5)
    method.begin_task(stream.train[0])
    half = method.setting.steps(stream.train[0]) // 2
    assert half > 3
    for step in range(half):
        method.step(batch_of(stream.train[0], step))
    assert method.buffer.offered == 0
    assert method.mean.item() == 0
    for step in range(4):
        method.step(batch_of(stream.train[0], step))
    assert method.buffer.offered > 0
    assert math.isfinite(method.mean.item())
