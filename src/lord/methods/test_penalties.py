"""Characteristics of baselines with penalties, projected gradients or old outputs."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from lord.methods.agem import projected
from lord.methods.conftest import learn, take
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
            take(free, task, step)
        now = free.student(x)[:, :2].detach() / 2
        return F.kl_div(
            now.log_softmax(1), (free.recorded / 2).softmax(1), reduction="batchmean"
        ).item()

    assert drift(30.0) < 0.3 * drift(0.0)


def test_lwfs_warm_up_changes_only_the_new_classes_of_the_head(make):
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


def test_lwfs_warm_up_learns_as_much_in_bf16(make):
    losses = []
    for enabled in (False, True):
        method, stream = make("lwf")
        learn(method, stream, 1)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            method.begin_task(stream.train[1])
        task = stream.train[1]
        logits = method.outputs(task.images)[:, 2:4]
        losses.append(F.cross_entropy(logits, task.labels - 2).item())
    assert losses[1] == pytest.approx(losses[0], rel=0.1)


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


def test_sis_importances_add_up_to_the_fall_of_the_loss(make):
    method, stream = make("si", lr=0.001, c=0.0)
    task = stream.train[0]
    method.begin_task(task)
    losses = [take(method, task, 0, size=64)["loss"].item() for _ in range(15)]
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
    take(method, stream.train[0], 0)
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
    elif r.norm() > 1e-3:  # the least change that suffices
        assert (result @ r).item() == pytest.approx(0, abs=1e-5 * float(scale))


@pytest.mark.parametrize(("offers", "held"), [("every", 200), ("last", 64)])
def test_a_gems_buffer_is_offered_every_batch_or_one_at_the_end_of_each_task(make, offers, held):
    method, stream = make("a-gem", offers=offers)
    learn(method, stream, 2, steps=20)
    assert len(method.buffer) == held


def test_fdrs_buffer_has_equal_parts_of_each_task_in_any_order_of_images(make):
    method, stream = make("fdr", buffer=100)
    by_class = []
    for task in stream.train:
        rows = task.labels.argsort()
        by_class.append(replace(task, images=task.images[rows], labels=task.labels[rows]))
    stream = replace(stream, train=tuple(by_class))
    learn(method, stream, 3)
    tasks = method.buffer.columns["task"][: len(method.buffer)].tolist()
    assert [tasks.count(t) for t in range(3)] == [33, 33, 33]
    for index in range(3):
        place = tasks.index(index)
        kept = method.buffer.columns["labels"][place : place + 33]
        assert (kept.bincount()[-2:] >= 8).all()


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
        take(method, stream.train[1], step)
    away = distance()
    method.config = type(method.config)(alpha=1.0, buffer=64)
    for step in range(30):
        take(method, stream.train[1], step)
    assert distance() < 0.7 * away


@pytest.mark.parametrize("name", ["a-gem", "ewc-on", "si"])
def test_frozen_and_unused_weights_do_not_change(make, name):
    method, stream = make(name)
    frozen = next(method.student.parameters()).requires_grad_(False)
    before = frozen.clone()
    learn(method, stream, 2)
    assert torch.equal(frozen, before)


def test_lwf_keeps_the_outputs_of_the_old_classes_only(make):
    method, stream = make("lwf")
    learn(method, stream, 1)
    method.begin_task(stream.train[1])
    assert method.recorded.untyped_storage().nbytes() == method.recorded.nbytes
