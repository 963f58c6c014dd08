"""Statistics of the classes in blurry and in long-tailed streams."""

import numpy as np
import pytest
import torch

from lord.conftest import refused
from lord.data import DataConfig, load_images
from lord.streams import StreamConfig, make_stream
from lord.streams.blurry import blurry
from lord.streams.imbalance import tail_shares

DIGITS = load_images(DataConfig())


def cut(seed, tasks=5, disjoint=0.5, blurred=0.1):
    labels = torch.arange(2000) % 20
    draws = torch.Generator().manual_seed(seed)
    return labels, blurry(labels, 20, tasks, disjoint, blurred, draws)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("disjoint", "blurred"), [(0.5, 0.1), (0.25, 0.4), (0, 0.5), (1, 0.1)])
def test_a_blurry_stream_has_the_ratios_it_should(seed, disjoint, blurred):
    labels, mixed = cut(seed, disjoint=disjoint, blurred=blurred)
    assert torch.cat(mixed.rows).sort().values.tolist() == list(range(2000))
    assert [label for main in mixed.main for label in main] == list(range(20))
    assert all(mixed.main)
    outside = torch.zeros(20, dtype=torch.int64)
    for rows, main in zip(mixed.rows, mixed.main, strict=True):
        present = labels[rows].bincount(minlength=20)
        present[list(main)] = 0
        outside += present
    assert sorted(outside.tolist()) == [0] * round(20 * disjoint) + [round(100 * blurred)] * round(
        20 * (1 - disjoint)
    )


def test_task_borders_are_random():
    sizes = {tuple(map(len, cut(seed)[1].main)) for seed in range(20)}
    assert len(sizes) > 10
    counts = np.array([cut(seed, tasks=2)[1].main[0][-1] for seed in range(200)])
    assert set(counts.tolist()) == set(range(19))  # each border is possible


def test_labels_follow_first_appearance_and_each_class_is_scored_once():
    config = StreamConfig(scenario="blurry", tasks=4, order="seeded")
    stream = make_stream(DIGITS, config, seed=3)
    seen = 0
    for task in stream.train:
        assert set(task.labels.tolist()) == set(task.classes)
        new = [label for label in task.classes if label >= seen]
        assert new == list(range(seen, seen + len(new)))
        seen += len(new)
    scored = [label for task in stream.test for label in task.classes]
    assert sorted(scored) == list(range(10))
    assert sum(len(task.labels) for task in stream.test) == 355
    digits = {name: (DIGITS.test_labels == int(name)).sum() for name in stream.class_names}
    counts = torch.cat([task.labels for task in stream.test]).bincount()
    assert counts.tolist() == [digits[name] for name in stream.class_names]
    assert make_stream(DIGITS, config, 4).class_names != stream.class_names


def test_a_blurry_stream_needs_a_class_for_each_task():
    with refused("tasks", given=11):
        make_stream(DIGITS, StreamConfig(scenario="blurry", tasks=11), 0)


def sizes(**settings):
    stream = make_stream(DIGITS, StreamConfig(imbalance=20, **settings), seed=1)
    return torch.cat([task.labels for task in stream.train]).bincount(minlength=10).tolist()


def test_class_sizes_fall_exponentially_along_the_stream_or_in_random_order():
    assert tail_shares(10, 100, range(10))[9] == pytest.approx(0.01)
    whole = DIGITS.train_labels.bincount().tolist()
    ordered, shuffled = sizes(tail="ordered"), sizes()
    assert ordered == [round(count * 20 ** (-rank / 9)) for rank, count in enumerate(whole)]
    assert shuffled != ordered
    shares = sorted(kept / count for kept, count in zip(shuffled, whole, strict=True))
    assert shares == pytest.approx([20 ** (-rank / 9) for rank in range(9, -1, -1)], rel=0.1)
    assert len(sizes(scenario="blurry")) == 10


def test_a_tail_keeps_one_image_of_each_class_and_all_test_images():
    config = StreamConfig(imbalance=1e6, tail="ordered")
    stream = make_stream(DIGITS, config, seed=0)
    assert torch.cat([task.labels for task in stream.train]).bincount()[-1] == 1
    assert sum(len(task.labels) for task in stream.test) == 355
