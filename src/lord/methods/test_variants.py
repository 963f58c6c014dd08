"""Settings that switch parts of LoRD off, or replace them."""

import pytest
import torch

from lord.conftest import refused
from lord.methods.conftest import learn, take


def test_without_growth_the_student_has_full_width_from_the_start(make):
    method, stream = make("lord", growth="none")
    assert method.elastic.counts == method.channels.full
    learn(method, stream, 2)
    assert method.elastic.counts == method.channels.full


def test_an_unpruned_teacher_is_the_student_at_the_end_of_the_last_task(make):
    method, stream = make("lord", candidates=0)
    learn(method, stream, 1)
    x = method.augment.normalise(stream.test[0].images)
    before = method.student(x).detach()
    method.begin_task(stream.train[1])
    torch.testing.assert_close(method.teacher.module(x), before)


def test_a_merged_pass_normalises_stream_and_draw_together(make):
    method, stream = make("lord", merged=True, draws=1, distill=0)
    learn(method, stream, 1)
    sizes = []
    method.student.stem.register_forward_hook(lambda _, args, __: sizes.append(len(args[0])))
    take(method, stream.train[0], 0)
    assert sizes == [16 + 32]
    with refused("draws", given=2):
        make("lord", merged=True)


@pytest.mark.slow
def test_a_balanced_buffer_is_more_even_than_a_reservoir(make):
    def spread(**settings):
        method, stream = make("lord", buffer=40, admission=0, **settings)
        learn(method, stream, 3, steps=14)
        counts = method.buffer.columns["labels"].bincount(minlength=6)[:6].float()
        return counts.std().item()

    assert spread(keep="balanced") < spread()
