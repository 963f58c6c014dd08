import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from lord.channels import assemble, skeleton_of, trace
from lord.networks import ResNet18
from lord.student import (
    Ladder,
    growth_steps,
    level_by_flops,
    level_by_images,
    levels_over,
    round_channels,
)

with torch.device("meta"):
    NETWORK = ResNet18(10, 64)
    MAP = trace(NETWORK, torch.zeros(2, 3, 32, 32))
SHORT, LONG = Ladder.for_network(MAP, 10), Ladder.for_network(MAP, 100)


def test_levels_of_the_papers_three_streams():
    assert levels_over(5, SHORT.top) == (4, 7, 9, 10, 10)
    assert levels_over(20, LONG.top) == (*range(1, 20), 19)
    assert levels_over(10, LONG.top) == (4, 7, 10, 13, 15, 16, 17, 18, 19, 19)


def test_ladders_have_ten_and_nineteen_levels_without_095():
    assert SHORT.ratios == (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
    assert len(LONG.ratios) == 19
    assert LONG.ratios[-2:] == (0.9, 1.0)
    assert LONG.ratios[0] == 0.05


@given(st.integers(1, 60), st.integers(1, 30), st.floats(0, 8))
def test_levels_never_fall_and_stay_on_the_ladder(tasks, top, pace):
    levels = levels_over(tasks, top, pace)
    assert len(levels) == tasks
    assert all(1 <= a <= b <= top for a, b in zip(levels, levels[1:] or levels, strict=False))


@given(st.integers(2, 60))
def test_every_task_but_the_last_gains_at_least_one_level(tasks):
    assert min(growth_steps(tasks)[:-1]) >= 1
    assert growth_steps(tasks)[-1] == 0


@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=40), st.integers(1, 30))
def test_levels_by_images_start_at_half_and_never_fall(sizes, top):
    seen = [sum(sizes[: place + 1]) for place in range(len(sizes))]
    levels = [level_by_images(sizes[0], each, top) for each in seen]
    assert levels[0] == (top + 1) // 2
    assert all(1 <= a <= b <= top for a, b in zip(levels, levels[1:] or levels, strict=False))


@pytest.mark.parametrize("top", [SHORT.top, LONG.top])
def test_levels_by_images_reach_full_width_in_a_long_stream(top):
    assert level_by_images(first=500, seen=10 * 500, top=top) == top


@given(st.floats(1e5, 1e6), st.integers(2, 9))
def test_size_and_steps_of_a_student_grow_equally_with_its_budget(flops, factor):
    costs = [1.01**each for each in range(800)]
    less, more = (costs[level_by_flops(f, costs, 1e5) - 1] for f in (flops, factor**2 * flops))
    assert more / less == pytest.approx(factor, rel=0.02)


@given(st.floats(0.1, 600), st.sampled_from([4, 8, 16]))
def test_rounding_gives_multiples_and_keeps_ninety_percent(channels, multiple):
    kept = round_channels(channels, multiple)
    assert kept % multiple == 0
    assert kept >= max(multiple, 0.9 * channels)
    assert kept <= channels + multiple


def forward_flops(ladder, level):
    tensors = MAP.take(NETWORK.state_dict(), ladder.counts(level))
    with FlopCounterMode(display=False) as counter, torch.device("meta"):
        assemble(skeleton_of(NETWORK), tensors)(torch.zeros(2, 3, 32, 32))
    return counter.get_total_flops()


@pytest.mark.parametrize(
    ("ladder", "shares"),
    [
        (SHORT, {4: 0.075, 7: 0.353, 9: 0.709, 10: 1}),
        (LONG, {1: 0.0064, 4: 0.018, 7: 0.047, 10: 0.128, 13: 0.269, 16: 0.505, 19: 1}),
    ],
)
def test_each_level_has_the_papers_share_of_multiply_adds(ladder, shares):
    full = forward_flops(ladder, ladder.top)
    for level, share in shares.items():
        assert forward_flops(ladder, level) / full == pytest.approx(share, rel=0.02), level


def test_the_top_level_is_the_full_network():
    assert SHORT.counts(SHORT.top) == MAP.full
    assert SHORT.share(MAP.full) == 1


@given(st.lists(st.integers(1, 10), min_size=12, max_size=12), st.integers(0, 11))
def test_raising_the_level_of_one_group_removes_no_channels(levels, group):
    higher = list(levels)
    higher[group] = min(higher[group] + 1, 10)
    pairs = zip(SHORT.mixed_counts(levels), SHORT.mixed_counts(higher), strict=True)
    assert all(a <= b for a, b in pairs)


def test_narrow_networks_use_multiples_of_4():
    narrow = trace(ResNet18(10, 16), torch.zeros(2, 3, 32, 32))
    ladder = Ladder.for_network(narrow, 10)
    assert ladder.multiple == 4
    assert len({ladder.counts(level) for level in range(1, 11)}) >= 8
