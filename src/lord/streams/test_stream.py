import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lord.config import UserError
from lord.data import DataConfig, load_images
from lord.streams import PRESETS, StreamConfig, by_class, make_stream

DIGITS = load_images(DataConfig())


@given(st.permutations(range(6)), st.integers(1, 5))
def test_tasks_share_out_every_image_once_and_labels_follow_the_class_order(order, cut):
    labels = torch.arange(60) % 6
    images = labels.view(-1, 1, 1, 1).to(torch.uint8)
    tasks = by_class(images, labels, [tuple(order[:cut]), tuple(order[cut:])])
    assert sum(len(task.labels) for task in tasks) == 60
    assert [label for task in tasks for label in task.classes] == list(range(6))
    for task in tasks:
        assert set(task.labels.tolist()) == set(task.classes)
        back = torch.tensor(order)[task.labels]
        assert torch.equal(back, task.images.flatten().long())


def test_five_tasks_of_two_digits_in_natural_order():
    stream = make_stream(DIGITS, StreamConfig(tasks=5), seed=0)
    assert [task.classes for task in stream.train] == [(0, 1), (2, 3), (4, 5), (6, 7), (8, 9)]
    assert stream.class_names == tuple("0123456789")
    assert sum(len(task.labels) for task in stream.test) == 355


def test_a_seeded_order_is_the_seeds_own():
    def names(seed):
        config = StreamConfig(tasks=5, order="seeded")
        return make_stream(DIGITS, config, seed).class_names

    assert names(1) == names(1)
    assert names(1) != names(2)
    assert sorted(names(1)) == list("0123456789")


def test_an_explicit_split_may_be_uneven_and_leave_classes_out():
    stream = make_stream(DIGITS, StreamConfig(split=((7, 1, 3), (0,))), seed=0)
    assert stream.class_names == ("7", "1", "3", "0")
    assert [task.classes for task in stream.train] == [(0, 1, 2), (3,)]


def test_a_subset_takes_its_share_of_each_class():
    whole = make_stream(DIGITS, StreamConfig(), seed=0)
    part = make_stream(DIGITS, StreamConfig(subset=0.25), seed=0)
    for full, small in zip(whole.train, part.train, strict=True):
        assert abs(len(small.labels) - len(full.labels) / 4) <= 2
    assert [len(t.labels) for t in part.test] == [len(t.labels) for t in whole.test]


def test_joint_training_sees_all_images_in_one_task():
    stream = make_stream(DIGITS, StreamConfig(), seed=0).joined()
    assert len(stream.train) == 1
    assert len(stream.train[0].labels) == 1442
    assert len(stream.test) == 5


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (StreamConfig(tasks=11), "tasks: at most 10, the number of classes, got 11"),
        (StreamConfig(tasks=3), "tasks: must divide the 10 classes, got 3; or give a split"),
        (StreamConfig(split=((0, 1), (1, 2))), "split: each task needs at least one class"),
        (StreamConfig(split=((0,), ())), "split: each task needs at least one class"),
        (StreamConfig(split=((0,), (10,))), "split: classes are 0 to 9, got 10"),
    ],
)
def test_a_split_that_does_not_fit_is_refused(config, said):
    with pytest.raises(UserError, match=said):
        make_stream(DIGITS, config, seed=0)


def test_presets_carry_the_protocol():
    tasks = {name: PRESETS[name].settings["tasks"] for name in PRESETS}
    assert (tasks["s-cifar10"], tasks["s-cifar100"], tasks["s-tinyimg"]) == (5, 20, 10)
    for name, epochs in (("s-cifar10", 50), ("s-cifar100", 50), ("s-tinyimg", 100)):
        preset = PRESETS[name]
        assert (preset.settings["epochs"], preset.settings["batch"]) == (epochs, 32)
        assert (preset.crop, preset.flip) == (4, True)
    assert PRESETS["s-cifar10"].mean == (0.4914, 0.4822, 0.4465)
