import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Generator

from lord.config import convert
from lord.config.types import Groups
from lord.conftest import refused
from lord.data import DataConfig, load_images
from lord.streams import PRESETS, StreamConfig, make_stream
from lord.streams.domains import drifting, rotated
from lord.streams.source import share_of

DIGITS = load_images(DataConfig())


@given(st.permutations(range(6)), st.integers(1, 5))
def test_every_image_is_in_one_task_and_labels_follow_the_class_order(order, cut):
    labels = torch.arange(60) % 6
    images = labels.view(-1, 1, 1, 1).to(torch.uint8)
    data = replace(DIGITS, train_images=images, train_labels=labels, classes=tuple("abcdef"))
    split = (tuple(order[:cut]), tuple(order[cut:]))
    tasks = make_stream(data, StreamConfig(split=split), seed=0).train
    assert sum(len(task.labels) for task in tasks) == 60
    assert [label for task in tasks for label in task.classes] == list(range(6))
    for task in tasks:
        assert set(task.labels.tolist()) == set(task.classes)
        back = torch.tensor(order)[task.labels]
        assert torch.equal(back, task.images.flatten().long())


def test_classes_in_natural_order_are_cut_into_equal_tasks():
    stream = make_stream(DIGITS, StreamConfig(tasks=5), seed=0)
    assert [task.classes for task in stream.train] == [(0, 1), (2, 3), (4, 5), (6, 7), (8, 9)]
    assert stream.class_names == tuple("0123456789")
    assert sum(len(task.labels) for task in stream.test) == 355


def test_a_seeded_order_depends_on_the_seed_only():
    def names(seed):
        config = StreamConfig(tasks=5, order="seeded")
        return make_stream(DIGITS, config, seed).class_names

    assert names(1) == names(1)
    assert names(1) != names(2)
    assert sorted(names(1)) == list("0123456789")


def test_a_split_may_have_unequal_tasks_and_omit_classes():
    stream = make_stream(DIGITS, StreamConfig(split=((7, 1, 3), (0,))), seed=0)
    assert stream.class_names == ("7", "1", "3", "0")
    assert [task.classes for task in stream.train] == [(0, 1, 2), (3,)]


def test_a_split_may_name_its_classes():
    data = replace(DIGITS, classes=("ant", "a/b", "c", "d", "e", "f", "g", "h", "i", "j"))
    for text in ("a/b,ant;j", "a/b, 0; 9", "1,0/j"):
        split = convert("split", text, Groups)
        stream = make_stream(data, StreamConfig(split=split), seed=0)
        assert stream.class_names == ("a/b", "ant", "j")
    with refused("split", given="a/b;eel", problem="has the class 'eel'"):
        make_stream(data, StreamConfig(split=(("a/b",), ("eel",))), seed=0)


def test_an_order_seed_shuffles_whatever_the_seed_of_the_run_is():
    def names(seed, **config):
        return make_stream(DIGITS, StreamConfig(**config), seed).class_names

    assert names(0, order_seed=3) == names(1, order_seed=3) == names(3, order="seeded")
    assert names(0, order_seed=3) != names(0, order_seed=4)
    split = ((0, 1), (2, 3), (4, 5), (6, 7))
    shuffled = names(0, split=split, order_seed=1)
    assert shuffled == names(1, split=split, order="seeded")
    assert shuffled != names(0, split=split) == tuple("01234567")
    assert {shuffled[at : at + 2] for at in range(0, 8, 2)} == PAIRS
    for scenario in ("permuted", "rotated", "drifting"):
        one, other = (
            make_stream(DIGITS, StreamConfig(scenario=scenario, order_seed=5), seed).train[1]
            for seed in (0, 1)
        )
        assert torch.equal(one.images, other.images)


def test_a_subset_keeps_the_same_share_of_each_class():
    whole = make_stream(DIGITS, StreamConfig(), seed=0)
    part = make_stream(DIGITS, StreamConfig(subset=0.25), seed=0)
    for full, small in zip(whole.train, part.train, strict=True):
        assert abs(len(small.labels) - len(full.labels) / 4) <= 2
    assert [len(t.labels) for t in part.test] == [len(t.labels) for t in whole.test]


@pytest.mark.parametrize("scenario", ["classes", "rotated", "drifting"])
def test_a_test_subset_scores_the_same_share_of_each_class(scenario):
    def tests(seed=0, **config):
        return make_stream(DIGITS, StreamConfig(scenario=scenario, **config), seed).test[1]

    whole, part, smaller = tests(), tests(test_subset=0.25), tests(test_subset=0.1)
    counts = whole.labels.bincount(minlength=10) / 4
    assert (part.labels.bincount(minlength=10) - counts).abs().max() <= 0.5
    rows = {tuple(image.flatten().tolist()) for image in part.images}
    assert {tuple(image.flatten().tolist()) for image in smaller.images} < rows
    assert torch.equal(tests(test_subset=0.25).images, part.images)
    assert scenario != "classes" or not torch.equal(tests(1, test_subset=0.25).images, part.images)
    assert set(tests(test_subset=1e-6).labels.tolist()) == set(whole.labels.tolist())
    held_out = tests(validation=0.2, subset=0.8, test_subset=0.5)
    assert len(held_out.labels) < 0.6 * len(tests(validation=0.2, subset=0.8).labels)


@pytest.mark.parametrize("scenario", ["classes", "permuted", "drifting"])
def test_images_stay_in_their_file_until_a_task_is_indexed(tmp_path, scenario):
    if not Path("/proc/self/status").exists():
        pytest.skip("the memory of a process is read from /proc")

    def anonymous_mb():
        status = Path("/proc/self/status").read_text()
        return int(re.search(r"RssAnon:\s+(\d+)", status)[1]) / 1024

    count, megabytes = 20_000, 61
    np.save(tmp_path / "images.npy", np.zeros((count, 32, 32, 3), np.uint8))
    mapped = torch.from_numpy(np.load(tmp_path / "images.npy", mmap_mode="c")).permute(0, 3, 1, 2)
    labels = torch.arange(count) % 10
    data = replace(DIGITS, train_images=mapped, train_labels=labels)
    before = anonymous_mb()
    stream = make_stream(data, StreamConfig(scenario=scenario, tasks=10), seed=0)
    assert anonymous_mb() - before < megabytes / 4
    shown = sum(len(task.labels) for task in stream.train)
    assert shown == (10 * count if scenario == "permuted" else count)
    assert anonymous_mb() - before < megabytes / 2


def test_tasks_can_be_indexed_and_sliced_like_a_list():
    tasks = make_stream(DIGITS, StreamConfig(), seed=0).train
    assert [task.index for task in tasks[1:4]] == [1, 2, 3]
    assert tasks[1:4][-1].index == 3
    assert tasks[-1].classes == (8, 9)
    with pytest.raises(IndexError):
        tasks[5]


def test_a_joined_stream_has_all_images_in_one_task():
    stream = make_stream(DIGITS, StreamConfig(), seed=0).joined()
    assert len(stream.train) == 1
    assert len(stream.train[0].labels) == 1442
    assert len(stream.test) == 5


PAIRS = {tuple("01"), tuple("23"), tuple("45"), tuple("67")}
NAMES = "classes from 0 to 9, or their names"
SPLIT = "at least one class in each task, and no class twice"


@pytest.mark.parametrize(
    ("config", "field", "parts"),
    [
        ({"tasks": 11}, "tasks", {"given": 11, "allowed": "at most 10, the number of classes"}),
        ({"tasks": 3}, "tasks", {"given": 3, "allowed": re.compile("divisor of 10")}),
        ({"split": ((0, 1), (1, 2))}, "split", {"allowed": SPLIT}),
        ({"split": ((0,), ())}, "split", {"given": "0/", "allowed": SPLIT}),
        ({"split": ((0,), (10,))}, "split", {"given": "0/10", "problem": "has the class 10"}),
        ({"split": (("1x",),)}, "split", {"allowed": NAMES, "hint": "did you mean '1'?"}),
        ({"scenario": "drifting", "tasks": 500}, "tasks", {"given": 500}),
    ],
)
def test_tasks_that_do_not_fit_the_classes_are_refused(config, field, parts):
    with refused(field, **parts):
        make_stream(DIGITS, StreamConfig(**config), seed=0)


def test_settings_that_contradict_each_other_are_refused():
    with refused("subset", problem="`skip` + `subset` + `validation` is 1.2"):
        StreamConfig(skip=0.2, subset=0.7, validation=0.3)
    with refused("split", problem=re.compile("'drifting'")):
        StreamConfig(split=((0,), (1,)), scenario="drifting")


@pytest.mark.parametrize("scenario", ["permuted", "rotated"])
def test_domains_show_the_same_images_changed_by_the_seed(scenario):
    stream = make_stream(DIGITS, StreamConfig(scenario=scenario, tasks=3), seed=1)
    first = stream.train[0]
    for task in stream.train:
        assert task.classes == tuple(range(10))
        assert torch.equal(task.labels, first.labels)
    assert not torch.equal(first.images, stream.train[1].images)
    again = make_stream(DIGITS, StreamConfig(scenario=scenario, tasks=3), seed=1)
    assert torch.equal(again.train[2].images, stream.train[2].images)
    other = make_stream(DIGITS, StreamConfig(scenario=scenario, tasks=3), seed=2)
    assert not torch.equal(other.train[2].images, stream.train[2].images)


def test_training_and_test_images_are_permuted_alike():
    stream = make_stream(DIGITS, StreamConfig(scenario="permuted", tasks=2), seed=0)
    means = [task.images.float().mean(0).flatten() for task in (stream.train[1], stream.test[1])]
    assert torch.corrcoef(torch.stack(means))[0, 1] > 0.95


def test_a_rotation_by_90_degrees_is_exact():
    images = DIGITS.test_images[:5]
    assert torch.equal(rotated(images, 90), images.rot90(1, (2, 3)))
    assert torch.equal(rotated(images, 0), images)


@given(st.integers(2, 20), st.integers(1, 30), st.integers(0, 9))
def test_a_drifting_stream_has_every_image_exactly_once(classes, segments, seed):
    labels = torch.arange(40 * classes) % classes
    rows = drifting(labels, list(range(classes)), segments, Generator().manual_seed(seed))
    assert sorted(torch.cat(rows).tolist()) == list(range(40 * classes))


def test_classes_of_a_drifting_stream_change_gradually_and_recur():
    config = StreamConfig(scenario="drifting", tasks=20)
    tasks = make_stream(DIGITS, config, seed=0).train
    counts = torch.stack([task.labels.bincount(minlength=10) for task in tasks])
    absent = counts[:, 0] == 0
    assert counts[0, 0] > 0  # the first class appears, is absent, and recurs
    assert absent[5:7].all()
    assert counts[10, 0] > 0
    mixed = (counts > 0).sum(1)
    assert mixed.min() >= 2  # no segment starts with only new classes
    for task in tasks:
        assert set(task.labels.tolist()) == set(task.classes)


def test_images_skipped_used_and_held_out_do_not_overlap():
    used = make_stream(DIGITS, StreamConfig(tasks=1, subset=0.2), seed=0)
    tuning = make_stream(
        DIGITS, StreamConfig(tasks=1, skip=0.2, subset=0.4, validation=0.2), seed=0
    )

    def rows(task):
        return [image.numpy().tobytes() for image in task.images]

    parts = [rows(task) for task in (used.train[0], used.test[0], tuning.train[0], tuning.test[0])]
    assert len(set().union(*parts)) == sum(len(set(part)) for part in parts)
    assert len(parts[3]) == pytest.approx(0.2 * 1442, abs=5)


def test_a_share_that_leaves_a_class_without_images_is_refused():
    few = replace(
        DIGITS, train_images=DIGITS.train_images[:40], train_labels=DIGITS.train_labels[:40]
    )
    problem = re.compile(r"gives class '\d' none of its \d images")
    with refused("validation", given=0.1, problem=problem):
        make_stream(few, StreamConfig(subset=0.9, validation=0.1), seed=0)


@given(st.integers(1, 200), st.integers(0, 8), st.integers(1, 9), st.integers(1, 9))
def test_training_images_are_never_held_out(count, skip, subset, held):
    if skip + subset + held > 10:
        return
    images = torch.arange(count * 2).view(-1, 1, 1, 1)
    labels = torch.arange(count * 2) % 2
    data = replace(DIGITS, train_images=images, train_labels=labels, classes=("a", "b"))
    if min(count * subset, count * held) < 10:  # a part may be empty
        return
    one = share_of(data, [0, 1], "subset", skip / 10, subset / 10).rows.tolist()
    other = share_of(data, [0, 1], "validation", 1 - held / 10, held / 10).rows.tolist()
    assert one
    assert other
    assert not set(one) & set(other)


def test_presets_have_the_tasks_and_epochs_of_the_published_protocol():
    tasks = {name: PRESETS[name].settings["tasks"] for name in PRESETS}
    assert (tasks["s-cifar10"], tasks["s-cifar100"], tasks["s-tinyimg"]) == (5, 20, 10)
    for name, epochs in (("s-cifar10", 50), ("s-cifar100", 50), ("s-tinyimg", 100)):
        preset = PRESETS[name]
        assert (preset.settings["epochs"], preset.settings["batch"]) == (epochs, 32)
        assert (preset.crop, preset.flip) == (4, True)
    assert PRESETS["s-cifar10"].mean == (0.4914, 0.4822, 0.4465)
