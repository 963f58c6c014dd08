"""The contract of every method. The tests run over the registry, so they cover new methods too."""

import copy
import json

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from lord.costs import LayerCount
from lord.methods import METHODS, Batch, Progress, ScheduledOptimizer
from lord.methods.conftest import batch_of, learn, take

ONE_COST = dict.fromkeys(["sgd", "gdumb", "lwf", "ewc-on", "si"], 1)
"""Methods with the same cost in every step."""
every_method = pytest.mark.parametrize("name", METHODS)


def leaves(state, path=""):
    """Yield the path and the value of everything in a nested state."""
    if isinstance(state, dict):
        for key, value in state.items():
            yield from leaves(value, f"{path}.{key}")
    elif isinstance(state, list | tuple):
        for place, value in enumerate(state):
            yield from leaves(value, f"{path}[{place}]")
    else:
        yield path, state


def assert_same(one, other):
    one, other = dict(leaves(one)), dict(leaves(other))
    assert one.keys() == other.keys()
    for path, value in one.items():
        same = (
            torch.equal(value, other[path]) if isinstance(value, Tensor) else (value == other[path])
        )
        assert same, path


@every_method
def test_it_learns(name, make):
    method, stream = make(name)
    task = stream.train[0]
    method.begin_task(task)
    for step in range(60):
        take(method, task, step)
    method.end_task(task)
    guesses = method.predict(stream.test[0].images)[:, list(task.classes)].argmax(1)
    wanted = stream.test[0].labels - task.classes[0]
    assert (guesses == wanted).float().mean() > (0.5 if name == "joint" else 0.9)


@every_method
def test_it_predicts_before_it_has_learned(name, make):
    method, stream = make(name)
    logits = method.predict(stream.test[0].images[:5])
    assert logits.shape == (5, 10)
    assert logits.isfinite().all()
    assert method.unknown_scores(stream.test[0].images[:5]).isfinite().all()


@every_method
def test_predicting_changes_nothing(name, make):
    method, stream = make(name)
    learn(method, stream, 2, steps=3)
    before = copy.deepcopy(method.state_dict())
    first = method.predict(stream.test[0].images)
    assert torch.equal(method.predict(stream.test[0].images), first)
    assert method.unknown_scores(stream.test[0].images).shape == (len(first),)
    assert method.known_scores().isfinite().all()
    assert_same(method.state_dict(), before)
    assert method.student.training


@every_method
@pytest.mark.parametrize(
    ("reached", "optimizer", "momentum"),
    [
        pytest.param((0, 1), "sgd", 0.0, marks=pytest.mark.slow),
        ((1, 3), "muon", 0.6),
        pytest.param((2, 2), "sgd", 0.9, marks=pytest.mark.slow),
    ],
)
def test_it_continues_bit_for_bit_from_a_saved_state(name, make, reached, optimizer, momentum):
    settings = {"optimizer": optimizer, "momentum": momentum, "schedule": "cosine"}
    if name.startswith("lord"):
        settings["rho"] = 0.5
    method, stream = make(name, **settings)
    last, step = min(reached[0], len(stream.train) - 1), reached[1]
    learn(method, stream, last)
    method.begin_task(stream.train[last])
    for place in range(step):
        take(method, stream.train[last], place)
    other, _ = make(name, seed=9, **settings)  # with other weights and generators
    other.load_state_dict(copy.deepcopy(method.state_dict()))
    for each in (method, other):
        for place in range(step, 6):
            take(each, stream.train[last], place)
        each.end_task(stream.train[last])
        if last + 1 < len(stream.train):
            each.begin_task(stream.train[last + 1])
            take(each, stream.train[last + 1], 0)
    assert_same(method.state_dict(), other.state_dict())
    images = stream.test[0].images
    assert torch.equal(method.predict(images), other.predict(images))


@every_method
def test_its_state_is_plain_values_and_tensors(name, make):
    method, stream = make(name)
    learn(method, stream, 2, steps=2)
    for path, value in leaves(method.state_dict()):
        assert isinstance(value, Tensor) or json.dumps(value), path


@every_method
def test_it_does_not_change_its_inputs_or_the_global_generator(name, make):
    method, stream = make(name)
    before = torch.random.get_rng_state()
    images = [task.images.clone() for task in stream.train]
    labels = [task.labels.clone() for task in stream.train]
    learn(method, stream, 2, steps=3)
    assert torch.equal(torch.random.get_rng_state(), before)
    for task, x, y in zip(stream.train, images, labels, strict=True):
        assert torch.equal(task.images, x)
        assert torch.equal(task.labels, y)


@every_method
def test_the_seed_decides_everything(name, make):
    states = []
    for seed in (0, 0, 1):
        method, stream = make(name, seed=seed)
        torch.rand(seed + 3)
        learn(method, stream, 2, steps=3)
        states.append(copy.deepcopy(method.state_dict()["student"]))
    assert_same(states[0], states[1])
    if name not in ("ncm", "slda"):  # they draw nothing
        assert any(not torch.equal(states[0][k], states[2][k]) for k in states[0])


def to_meta(method):
    method.student.to("meta")
    parameters, config = method.student.parameters(), method.optimizer.config
    method.optimizer = ScheduledOptimizer(parameters, config)
    if method.buffer:
        columns = method.buffer.columns
        method.buffer.columns = {key: column.to("meta") for key, column in columns.items()}
    for name, value in vars(method).items():
        if isinstance(value, Tensor):
            setattr(method, name, value.to("meta"))
        elif isinstance(value, list) and value and isinstance(value[0], Tensor):
            setattr(method, name, [tensor.to("meta") for tensor in value])
        elif hasattr(value, "module") or isinstance(value, torch.nn.Module):
            getattr(value, "module", value).to("meta")


@every_method
def test_a_step_never_waits_for_the_device(name, make):
    """On the meta device, reading a value is an error."""
    method, stream = make(name)
    if method.traits.waits:
        pytest.skip("its traits say that it waits")
    learn(method, stream, min(2, len(stream.train)), steps=3)
    to_meta(method)
    batch = batch_of(stream.train[-1], 0)
    for _ in range(3):
        scalars = method.step(
            Batch(*(t.to("meta") for t in vars(batch).values())), Progress(0, 100)
        )
        assert scalars["loss"].is_meta
        assert not scalars["loss"].requires_grad


@every_method
def test_its_flops_are_counted_right_at_every_step(name, make):
    if METHODS[name].method.traits.features == "only":
        pytest.skip("its sums are stated, because PyTorch's counter misses them")
    settings = {"rho": 0.5} if name.startswith("lord") else {}
    method, stream = make(name, **settings)
    seen = set()
    with LayerCount() as count:
        for task in stream.train[:2]:
            method.begin_task(task)
            for step in range(5):
                state = copy.deepcopy(method.state_dict())
                take(method, task, step)  # now all shapes are known
                method.load_state_dict(state)
                before = count.total
                with FlopCounterMode(display=False) as counter:
                    take(method, task, step)
                assert count.total - before == counter.get_total_flops()
                seen.add(counter.get_total_flops())
            method.end_task(task)
    if name != "joint":
        assert len(seen) >= (ONE_COST | {"lord": 4, "lord+": 3}).get(name, 2)


@every_method
def test_the_buffer_holds_raw_images(name, make):
    method, stream = make(name)
    if method.buffer is None:
        pytest.skip("no buffer")
    learn(method, stream, 2, steps=8)
    assert method.buffer.columns["images"].dtype == torch.uint8
    offered = torch.cat([task.images for task in stream.train[:2]]).flatten(1)
    for image in method.buffer.columns["images"][: len(method.buffer)].flatten(1):
        assert (offered == image).all(1).any()


@every_method
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_it_learns_on_a_gpu_without_waiting(name, make):
    method, stream = make(name, device="cuda")
    for task in stream.train[:2]:
        method.begin_task(task)
        batches = [batch_of(task, step) for step in range(3)]
        torch.cuda.set_sync_debug_mode("error")
        try:
            for batch in batches:
                assert method.step(batch, Progress(0, 100))["loss"].is_cuda
        finally:
            torch.cuda.set_sync_debug_mode("default")
