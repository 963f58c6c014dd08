import copy
import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lord.channels import Elastic, batch_statistics, permute, tensors_of, trace
from lord.costs import FlopCount
from lord.networks import ResNet18
from lord.student import Ladder
from lord.teacher import (
    Candidate,
    Teacher,
    by_importance,
    draw_candidates,
    freeze,
    search_teacher,
)
from lord.teacher.search import _scores

NOISE = torch.randn(32, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


torch.manual_seed(0)
NETWORK = ResNet18(10, 16)
LADDER = Ladder.for_network(trace(NETWORK, torch.zeros(2, 3, 32, 32)), 10)


def student_at(level):
    """Return the same untrained student at a level, and its ladder."""
    elastic = Elastic(copy.deepcopy(NETWORK), LADDER.channels)
    return elastic.resize(LADDER.counts(level)), LADDER


def search(student, ladder, level, previous=None, number=12, seed=0):
    return search_teacher(
        ladder, student, level, previous, noise=NOISE, number=number, generator=generator(seed)
    )


def test_importance_is_the_norm_of_the_weights_that_read_a_channel():
    student, ladder = student_at(7)
    orders = by_importance(ladder.channels, student)
    groups = ladder.channels.groups
    assert set(orders) == {i for i, group in enumerate(groups) if group.stage is not None}
    for index, order in orders.items():
        weight = student.get_parameter(groups[index].readers[0])
        norms = weight.abs().sum((0, 2, 3))[order]
        assert sorted(order.tolist()) == list(range(weight.shape[1]))
        assert (norms[:-1] >= norms[1:]).all()


def test_ordering_by_importance_keeps_the_function():
    student, ladder = student_at(7)
    before = student.eval()(NOISE)
    permute(ladder.channels, student, by_importance(ladder.channels, student))
    assert (student(NOISE) - before).abs().max() < 1e-5


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 99), st.integers(3, 10))
def test_candidates_lie_between_the_previous_teacher_and_the_student(seed, level):
    low = [1 + (seed + group) % 3 for group in range(12)]
    drawn = draw_candidates(LADDER, low, level, 30, generator(seed))
    least, most = LADDER.mixed_counts(low), LADDER.counts(level)
    assert len({candidate.counts for candidate in drawn}) == len(drawn)
    for candidate in drawn:
        assert candidate.counts == LADDER.mixed_counts(candidate.levels)
        triples = zip(least, candidate.counts, most, strict=True)
        assert all(a <= b <= c for a, b, c in triples)


def test_levels_are_drawn_uniformly():
    drawn = draw_candidates(LADDER, [3] * 12, 7, 4000, generator())
    counts = torch.tensor([c.levels for c in drawn]).flatten().bincount(minlength=8)[3:]
    assert (counts / counts.sum() - 0.2).abs().max() < 0.01
    assert len(drawn) > 3900  # groups are drawn independently, so few candidates are equal


def test_the_winner_has_the_lowest_score_computed_one_by_one():
    student, ladder = student_at(7)
    teacher = search(student, ladder, 7)
    drawn = draw_candidates(ladder, [1] * 12, 7, 12, generator())
    with torch.no_grad():
        wanted = batch_statistics(student_at(7)[0])(NOISE)
        scores = [
            F.mse_loss(freeze(ladder.channels, student, c).module(NOISE), wanted).item()
            * math.exp(-c.share)
            for c in drawn
        ]
        torch.testing.assert_close(
            torch.stack([*_scores(ladder.channels, student, drawn, NOISE)]), torch.tensor(scores)
        )
    assert teacher.candidate == drawn[scores.index(min(scores))]


def test_the_share_counts_all_parameters_with_head_and_batch_norm():
    student, ladder = student_at(7)
    teacher = search(student, ladder, 7)
    kept = sum(p.numel() for p in teacher.module.parameters())
    assert teacher.share == kept / sum(p.numel() for p in ResNet18(10, 16).parameters())


def test_a_teacher_has_at_least_the_channels_of_the_previous_one():
    previous, counts = None, (0,) * 12
    for level, seed in ((4, 1), (7, 2), (9, 3), (10, 4)):
        student, ladder = student_at(level)
        previous = search(student, ladder, level, previous, number=6, seed=seed)
        assert all(a <= b for a, b in zip(counts, previous.counts, strict=True))
        counts = previous.counts


def test_a_search_changes_no_running_statistics_and_no_weights():
    student, ladder = student_at(7)
    before = {name: t.clone() for name, t in tensors_of(student).items()}
    search(student, ladder, 7)
    assert all(torch.equal(t, before[name]) for name, t in tensors_of(student).items())
    assert all(p.grad is None for p in student.parameters())


def test_the_teacher_is_an_ordinary_frozen_copy():
    student, ladder = student_at(7)
    teacher = search(student, ladder, 7)
    assert type(teacher.module) is ResNet18
    assert all(p.is_contiguous() and not p.requires_grad for p in teacher.module.parameters())
    before = teacher.module(NOISE)
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.zero_()
    assert torch.equal(teacher.module(NOISE), before)
    assert not [b for b in teacher.module.buffers() if b is not None]


def test_large_candidates_are_excluded_unless_all_are_large():
    student, ladder = student_at(10)
    everything = Candidate((10,) * 12, ladder.counts(10), 1.0)
    full = Teacher(everything, nn.Identity())
    teacher = search(student, ladder, 10, full)
    assert teacher.share == 1  # as the previous teacher has all channels
    for seed in range(3):
        assert search(student, ladder, 10, number=4, seed=seed).share < 0.95


def test_a_teacher_is_restored_from_its_state():
    student, ladder = student_at(7)
    teacher = search(student, ladder, 7)
    again = Teacher.restore(ladder, student_at(10)[0].to("meta"), teacher.state_dict())
    assert again.candidate == teacher.candidate
    assert torch.equal(again.module(NOISE), teacher.module(NOISE))
    assert again.candidate.share == pytest.approx(teacher.share)


def test_a_search_stays_within_its_budget():
    student, ladder = student_at(7)
    smallest = 32 * ladder.channels.flops(ladder.counts(1))
    for budget in (0, 8 * smallest, 60 * smallest):
        with FlopCount() as count:
            search_teacher(
                ladder, student, 7, None, noise=NOISE, number=40,
                generator=generator(), budget=budget,
            )  # fmt: skip
        student_pass = len(NOISE) * ladder.channels.flops(ladder.counts(7))
        assert count.total <= budget + student_pass


def test_without_a_budget_all_candidates_are_scored():
    student, ladder = student_at(7)
    with FlopCount() as count:
        search(student, ladder, 7, number=12)
    drawn = draw_candidates(ladder, [1] * 12, 7, 12, generator())
    flops = ladder.channels.flops
    expected = [flops(c.counts) for c in drawn] + [flops(ladder.counts(7))]
    assert count.total == len(NOISE) * sum(expected)
