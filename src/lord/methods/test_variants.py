"""Parts of LoRD taken away, or done otherwise, by a setting."""

import pytest
import torch

from lord.config import UserError
from lord.methods.conftest import batch_of, learn


def test_without_growth_the_student_has_full_width_from_the_start(make):
    method, stream = make("lord", growth="none")
    assert method.elastic.counts == method.channels.full
    learn(method, stream, 2)
    assert method.elastic.counts == method.channels.full


def test_an_unpruned_teacher_is_the_student_as_the_last_task_left_it(make):
    method, stream = make("lord", pruned=False)
    learn(method, stream, 1)
    x = method.augment.normalise(stream.test[0].images)
    before = method.student(x).detach()
    method.begin_task(stream.train[1])
    torch.testing.assert_close(method.teacher.module(x), before)


def test_distillation_may_be_computed_at_some_steps_only(make):
    method, stream = make("lord", distill_every=4)
    learn(method, stream, 1, steps=8)
    method.begin_task(stream.train[1])
    calls = []
    method.teacher.module.register_forward_hook(lambda *_: calls.append(method.steps))
    for step in range(9):
        method.step(batch_of(stream.train[1], step))
    assert set(calls) == {8, 12, 16}


def test_rehearsal_may_start_with_a_later_task_and_late_in_each(make):
    method, stream = make("lord", start=1, late=0.5)
    learn(method, stream, 1)
    assert method.draw() == []
    task = stream.train[1]
    method.begin_task(task)
    half = method.length // 2
    due = []
    for _ in range(method.length):
        due.append(len(method.draw()))
        method.steps += 1
    assert due[: half - 1] == [0] * (half - 1)
    assert due[half + 1 :] == [2] * (method.length - half - 1)


def test_a_merged_pass_normalises_stream_and_draw_together(make):
    method, stream = make("lord", merged=True, draws=1, distill=0)
    learn(method, stream, 1)
    sizes = []
    method.student.stem.register_forward_hook(lambda _, args, __: sizes.append(len(args[0])))
    method.step(batch_of(stream.train[0], 0))
    assert sizes == [16 + 32]
    with pytest.raises(UserError, match="draws: 1 where passes are merged, got 2"):
        make("lord", merged=True)


@pytest.mark.parametrize("keep", ["balanced", "losses"])
def test_a_buffer_that_chooses_is_more_even_than_a_reservoir(make, keep):
    def spread(**settings):
        method, stream = make("lord", buffer=40, admission=0, **settings)
        learn(method, stream, 3, steps=14)
        counts = method.buffer.columns["labels"].bincount(minlength=6)[:6].float()
        return counts.std().item()

    assert spread(keep=keep) < spread()
