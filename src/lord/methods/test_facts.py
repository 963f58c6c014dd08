"""Characteristics of single methods, and of the terms that they share."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F

from lord.channels import assemble, tensors_of
from lord.costs import tensor_bytes
from lord.methods import OptimizerConfig, Progress, recomputed_statistics
from lord.methods.conftest import batch_of, learn, take
from lord.methods.optim import ScheduledOptimizer, share_of_peak
from lord.methods.terms import (
    dark_experience,
    distillation,
)
from lord.teacher import by_importance, freeze
from lord.training import compose


def test_the_student_grows_over_the_stream_as_the_ladder_says(make):
    method, stream = make("lord")
    levels = []
    for task in stream.train:
        method.begin_task(task)
        levels.append(method.level)
        take(method, task, 0)
        counts = [method.student.stem.out_channels, method.student.block2.conv2.out_channels]
        assert counts == [method.ladder.counts(method.level)[i] for i in (0, 3)]
    assert levels == [4, 7, 9, 10, 10]


@pytest.mark.parametrize("growth", ["plain", "preserving", "none"])
def test_the_first_task_starts_with_every_weight_as_initialised(make, growth):
    method, stream = make("lord", growth=growth)
    method.begin_task(stream.train[0])
    weights = [p for p in method.student.parameters() if p.dim() > 1]
    assert all((weight != 0).all() for weight in weights)


def test_the_first_task_has_no_teacher_and_teachers_only_grow(make):
    method, stream = make("lord")
    method.begin_task(stream.train[0])
    assert method.teacher is None
    counts = (0,) * 4
    for task in stream.train[1:]:
        take(method, stream.train[task.index - 1], 0)
        method.begin_task(task)
        assert all(a <= b for a, b in zip(counts, method.teacher.counts, strict=True))
        counts = method.teacher.counts


def test_the_channels_of_a_task_before_lie_by_importance_when_the_student_grows(make):
    method, stream = make("lord")
    learn(method, stream, 1)
    counts = method.elastic.counts
    method.begin_task(stream.train[1])
    narrow = assemble(method.elastic.skeleton, method.channels.take(method.elastic.full, counts))
    for order in by_importance(method.channels, narrow).values():
        assert order.tolist() == list(range(len(order)))


def distilled(make):
    method, stream = make("lord", seed=3)
    learn(method, stream, 2)
    method.begin_task(stream.train[2])
    take(method, stream.train[2], 0)
    x = method.augment(batch_of(stream.train[2], 1).images)
    return method, x


def test_distillation_changes_only_weights_of_the_teachers_selection(make):
    method, x = distilled(make)
    method.student.zero_grad()
    distillation(method.channels, method.student, method.teacher, x).backward()
    reached = 0
    for name, parameter in method.student.named_parameters():
        inside = torch.zeros_like(parameter)
        method.channels.take({name: inside}, method.teacher.counts)[name].fill_(1)
        assert (parameter.grad[inside == 0] == 0).all(), name
        reached += int((parameter.grad[inside == 1] != 0).sum())
    assert reached > 0
    sizes = zip(method.teacher.counts, method.elastic.counts, strict=True)
    assert any(teacher < student for teacher, student in sizes)


def test_distillation_is_the_mean_squared_difference_over_images_and_outputs(make):
    method, x = distilled(make)
    part = freeze(method.channels, method.student, method.teacher.candidate).module
    wanted = ((part(x) - method.teacher.module(x)) ** 2).sum() / (len(x) * 10)
    loss = distillation(method.channels, method.student, method.teacher, x)
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-4)
    assert loss > 0


def test_distillation_is_zero_if_the_sub_network_is_the_teacher(make):
    method, stream = make("lord")
    learn(method, stream, 1)
    method.begin_task(stream.train[1])
    x = method.augment(batch_of(stream.train[1], 0).images)
    loss = distillation(method.channels, method.student, method.teacher, x)
    assert loss.item() == pytest.approx(0, abs=1e-10)


def test_distillation_does_not_change_running_statistics(make):
    method, x = distilled(make)
    before = {name: b.clone() for name, b in method.student.named_buffers()}
    distillation(method.channels, method.student, method.teacher, x)
    assert all(torch.equal(b, before[name]) for name, b in method.student.named_buffers())


def test_beginning_a_task_does_not_change_running_statistics_of_active_channels(make):
    method, stream = make("lord")
    learn(method, stream, 1)
    stem = method.student.bn.running_mean.clone()  # a stream: not reordered
    method.begin_task(stream.train[1])
    assert torch.equal(method.student.bn.running_mean[: len(stem)], stem)


def test_function_preserving_growth_keeps_the_logits_over_a_task_border(make):
    method, stream = make("lord", growth="preserving")
    learn(method, stream, 1)
    before = method.predict(stream.test[0].images)
    method.begin_task(stream.train[1])
    assert (method.predict(stream.test[0].images) - before).abs().max() < 1e-5


def test_a_refused_batch_does_not_advance_the_reservoir(make):
    method, stream = make("lord", replay=2, distill=0)
    learn(method, stream, 1)
    task = stream.train[1]
    method.begin_task(task)
    before, steps = method.buffer.offered, 200
    for _ in range(steps):
        take(method, task, 0)
    offered = (method.buffer.offered - before) / 16
    expected = math.exp(-0.75 * method.teacher.share)
    assert offered == int(offered)
    assert abs(offered / steps - expected) < 5 * math.sqrt(expected * (1 - expected) / steps)
    assert offered < steps


def test_all_batches_of_the_first_task_are_offered(make):
    method, stream = make("lord")
    learn(method, stream, 1, steps=7)
    assert method.buffer.offered == 7 * 16


def passes(method, monkeypatch, batch):
    """Return the number of images in each pass of the student in a step."""
    seen = []
    hook = method.student.register_forward_pre_hook(lambda _, x: seen.append(len(x[0])))
    method.step(batch, Progress(0, 100))
    hook.remove()
    return seen


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, [[16], [16, 8, 8], [16, 8, 8], [16, 8, 8]]),
        ({"draws": 1}, [[16], [16, 8], [16, 8], [16, 8]]),
        ({"rho": 0.0}, [[16]] * 4),
        ({"replay": 4}, [[16], [16, 4, 4], [16, 4, 4], [16, 4, 4]]),
    ],
)
def test_rehearsal_starts_at_the_second_step_and_follows_its_schedule(
    make, monkeypatch, settings, expected
):
    method, stream = make("lord", **({"replay": 8} | settings))
    method.begin_task(stream.train[0])
    got = [passes(method, monkeypatch, batch_of(stream.train[0], i)) for i in range(4)]
    assert got == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [("sgd", [[16], [16]]), ("er", [[16], [24]]), ("der++", [[16], [16, 8, 8]])],
)
def test_passes_of_the_baselines(make, monkeypatch, name, expected):
    method, stream = make(name, **({} if name == "sgd" else {"replay": 8}))
    method.begin_task(stream.train[0])
    got = [passes(method, monkeypatch, batch_of(stream.train[0], i)) for i in range(2)]
    assert got == expected


@pytest.mark.parametrize("name", ["der++", "lord"])
def test_stored_logits_are_those_of_training_mode_when_the_image_was_seen(make, name):
    method, stream = make(name)
    method.begin_task(stream.train[0])
    wanted = []
    hook = method.student.register_forward_hook(lambda _, __, out: wanted.append(out.detach()))
    take(method, stream.train[0], 0)
    hook.remove()
    assert torch.equal(method.buffer.columns["logits"][:16], wanted[0])


def test_dark_experience_is_its_two_terms(make):
    method, stream = make("der++")
    learn(method, stream, 1)
    one, two = method.buffer.draw(8), method.buffer.draw(8)
    student = method.student.eval()
    plain = method.augment.normalise
    logits = [student(plain(draw.images)) for draw in (one, two)]
    loss = dark_experience(logits, [one, two], 0.3, 0.7)
    match = F.mse_loss(student(plain(one.images)), one.logits)
    labels = F.cross_entropy(student(plain(two.images)), two.labels)
    assert torch.allclose(loss, 0.3 * match + 0.7 * labels)
    single = dark_experience(logits[:1], [one], 0.3, 0.7)
    labels = F.cross_entropy(student(plain(one.images)), one.labels)
    assert torch.allclose(single, 0.3 * match + 0.7 * labels)


def test_recomputed_statistics_are_those_of_the_buffer_and_are_undone(make):
    method, stream = make("er")
    learn(method, stream, 2)
    before = {name: t.clone() for name, t in tensors_of(method.student).items()}
    images = method.augment.normalise(method.buffer.columns["images"][: len(method.buffer)])
    with recomputed_statistics(method, batch=len(images)):
        stem = method.student.stem(images)
        mean = method.student.bn.running_mean
        assert torch.allclose(mean, stem.mean((0, 2, 3)), atol=1e-4)
        inside = method.predict(stream.test[0].images)
    assert not torch.allclose(inside, method.predict(stream.test[0].images))
    assert all(torch.equal(t, before[name]) for name, t in tensors_of(method.student).items())
    assert method.student.bn.momentum == 0.1


def test_recomputed_statistics_do_not_depend_on_the_order_of_the_buffer(make):
    method, stream = make("er", buffer=320)
    learn(method, stream, 5, steps=20)
    held, spread = method.buffer.held, []
    held["images"][:] = 20 * held["labels"].view(-1, 1, 1, 1).byte()  # classes differ in brightness
    mixed = torch.randperm(len(method.buffer), generator=torch.Generator().manual_seed(0))
    for key in (mixed, held["labels"]):
        order = key.argsort()
        for column in held.values():
            column[:] = column[order].clone()
        with recomputed_statistics(method):
            spread.append(method.student.bn.running_var.clone())
    assert torch.allclose(spread[0], spread[1], rtol=0.1)


def test_the_bytes_to_come_are_enough_at_every_level(make):
    def size(method):
        state = method.state_dict()
        state.pop("buffer")
        return tensor_bytes(state)

    for candidates in (0, 8):
        method, stream = make("lord", ladder="long", width=32, candidates=candidates)
        method._grow(method.ladder.top)
        most = size(method) + method.bytes_to_come(0)
        for level in range(1, method.ladder.top + 1):
            method, _ = make("lord", ladder="long", width=32, candidates=candidates)
            method._grow(level)
            method.teacher = method._find_teacher(stream.train[1], level)
            assert size(method) <= most, level


def test_schedules_over_a_task():
    steps = 100
    config = OptimizerConfig(lr=1.0, schedule="triangle")
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = ScheduledOptimizer([weight], config)
    rates = []
    for _ in range(2):  # tasks
        for step in range(steps):
            optimizer.update(weight.sum(), Progress(step, steps))
            rates.append(optimizer.torch.param_groups[0]["lr"])
    assert rates[:steps] == rates[steps:]
    assert max(rates) == pytest.approx(1, abs=0.03)
    assert rates.index(max(rates)) in (19, 20)
    assert sum(rates[:steps]) == pytest.approx(50, abs=0.5)
    assert share_of_peak("cosine", 0.5) == pytest.approx(0.5)
    assert share_of_peak("constant", 0.9) == 1


@pytest.mark.parametrize(
    ("preset", "size", "alpha", "beta"),
    [
        ("s-cifar10", 200, 0.1, 0.5),
        ("s-cifar10", 500, 0.2, 0.5),
        ("s-cifar100", 5120, 0.1, 1.0),
        ("s-tinyimg", 200, 0.1, 1.0),
        ("s-tinyimg", 5120, 0.1, 0.5),
    ],
)
@pytest.mark.parametrize("name", ["lord", "der++"])
def test_presets_have_the_published_weights(name, preset, size, alpha, beta):
    config = compose(name, {"data": "x", "buffer": size}, preset=preset)
    assert (config.settings.alpha, config.settings.beta) == (alpha, beta)
    assert config.optimizer.lr == 0.03


def test_backward_passes_one_by_one_give_the_gradient_of_the_sum_of_terms(make):
    method, stream = make("lord", seed=4)
    learn(method, stream, 1)
    task = stream.train[1]
    method.begin_task(task)
    take(method, task, 1)  # before it, teacher and sub-network are equal
    batch, state = batch_of(task, 0), copy.deepcopy(method.state_dict())
    before = {name: p.detach().clone() for name, p in method.student.named_parameters()}
    method.step(batch, Progress(0, 100))
    after = {name: p.detach().clone() for name, p in method.student.named_parameters()}
    method.load_state_dict(state)

    c, x = method.config, method.augment(batch.images)
    draws = [method.buffer.draw(c.replay) for _ in range(2)]
    loss = F.cross_entropy(method.student(x), batch.labels)
    loss = loss + c.distill * distillation(method.channels, method.student, method.teacher, x)
    again = [method.student(method.augment(draw.images)) for draw in draws]
    loss = loss + dark_experience(again, draws, c.alpha, c.beta)
    gradients = torch.autograd.grad(loss, list(method.student.parameters()))
    for (name, old), gradient in zip(before.items(), gradients, strict=True):
        torch.testing.assert_close(after[name], old - 0.05 * gradient, atol=1e-6, rtol=1e-5)


def test_lord_needs_no_more_memory_for_backward_passes_than_derpp(make):
    kept = {}
    for name in ("lord", "der++"):
        method, stream = make(name)
        learn(method, stream, 4)
        method.begin_task(stream.train[4])
        take(method, stream.train[4], 0)
        live, most = 0, 0

        def note(tensor):
            nonlocal live, most
            live += tensor.nbytes
            most = max(most, live)
            return [tensor]

        def give(held):
            nonlocal live
            live -= held[0].nbytes
            return held[0]

        with torch.autograd.graph.saved_tensors_hooks(note, give):
            take(method, stream.train[4], 1)
        kept[name] = most
        assert method.student.stem.out_channels == 8
    assert kept["lord"] <= kept["der++"]
