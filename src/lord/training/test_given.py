"""Runs of images and streams in memory."""

import re
from types import SimpleNamespace

import pytest
import torch

import lord
from lord.conftest import refused
from lord.data import DataConfig, images_by_task, load_images
from lord.data.image_data import ImageData
from lord.evaluation import read_record
from lord.streams import StreamConfig, as_images, make_stream
from lord.training import compose, read_yaml

DIGITS = load_images(DataConfig())
TRAIN = DIGITS.train_images[:300], DIGITS.train_labels[:300]
TEST = DIGITS.test_images[:100], DIGITS.test_labels[:100]
SMALL = {"epochs": 1, "width": 4, "network": "cnn", "threads": 1, "data": "memory", "buffer": 64}


def domains(number=3) -> ImageData:
    """The same classes with darker images in each task."""

    def darker(split, task):
        return split[0] // (task + 1), split[1]

    return images_by_task([(darker(TRAIN, at), darker(TEST, at)) for at in range(number)])


def test_a_run_of_images_in_memory_equals_that_of_the_same_file(tmp_path):
    data = lord.images(TRAIN, TEST)
    record = lord.run(compose("er", SMALL), tmp_path / "a", images=data)
    again = read_yaml(tmp_path / "a" / "config.yaml")
    assert again["data"] == f"memory:{data.key}"
    config = compose("er", SMALL | {"data": again["data"]})
    assert lord.run(config).matrices == record.matrices
    other = lord.images(TRAIN, (TEST[0] // 2, TEST[1]))
    with refused("data", problem=re.compile("differs from 'memory:")):
        lord.run(compose("er", SMALL), tmp_path / "a", images=other, resume=True)
    assert lord.run(compose("er", SMALL), tmp_path / "a", images=data, resume=True) == read_record(
        tmp_path / "a"
    )


def test_a_stream_in_memory_keeps_its_tasks():
    record = lord.run(compose("er", SMALL), stream=domains())
    assert [len(row) for row in record.matrices.class_il] == [1, 2, 3]
    assert (record.settings["tasks"], record.settings["scenario"]) == (3, "given")


@pytest.mark.slow
def test_a_comparison_reads_images_in_memory_from_the_cache(tmp_path):
    configs = [compose("er", SMALL)]
    (record,) = lord.compare(configs, tmp_path, jobs=1, stream=domains(2), report=lambda _: None)
    assert len(record.matrices.class_il) == 2


def test_given_tasks_are_shuffled_by_a_seed_and_every_task_gives_its_share():
    data = domains()
    config = StreamConfig(scenario="given", tasks=3, subset=0.5, validation=0.2, test_subset=0.5)
    stream = make_stream(data, config, seed=0)
    assert [round(len(task.labels) / 300, 1) for task in stream.train] == [0.5, 0.5, 0.5]
    assert all(len(task.classes) == 10 for task in stream.test)
    brightness = [task.images.float().mean() for task in stream.train]
    assert brightness == sorted(brightness, reverse=True)
    mixed = StreamConfig(scenario="given", tasks=3, order_seed=1)
    first, other = (make_stream(data, mixed, seed).train for seed in (0, 1))
    assert all(torch.equal(a.images, b.images) for a, b in zip(first, other, strict=True))
    assert [task.images.float().mean() for task in first] != sorted(brightness, reverse=True)


def test_labels_of_given_tasks_follow_the_order_in_which_classes_appear():
    both = [tuple(part[torch.isin(TRAIN[1], torch.tensor(c))] for part in TRAIN) for c in (7, 2)]
    data = images_by_task([(split, split) for split in both], classes=list("0123456789"))
    stream = make_stream(data, StreamConfig(scenario="given", tasks=2), seed=0)
    assert stream.class_names == ("7", "2")
    assert [task.classes for task in stream.train] == [(0,), (1,)]
    assert as_images(stream).classes == ("7", "2")
    assert torch.equal(as_images(stream).train_images, data.train_images)


@pytest.mark.parametrize(
    ("settings", "arguments", "field"),
    [
        ({"data": "digits"}, {"images": domains(1)}, "data"),
        ({}, {"images": TRAIN}, "images"),
        ({}, {"images": domains(1), "stream": domains(1)}, "images"),
        ({}, {"stream": DIGITS}, "scenario"),
        ({}, {"stream": [1]}, "stream"),
        ({"split": "0,1/2,3"}, {"stream": domains(2)}, "split"),
        ({"scenario": "given", "tasks": 4}, {"images": domains(3)}, "tasks"),
        ({}, {}, "data"),
    ],
)
def test_what_does_not_fit_is_refused(settings, arguments, field):
    with refused(field):
        lord.run(compose("er", SMALL | settings), **arguments)


def test_a_class_without_images_is_named():
    data = lord.images(TRAIN, (TEST[0][TEST[1] != 3], TEST[1][TEST[1] != 3]))
    with refused(None, problem="class '3' has no test images"):
        lord.run(compose("er", SMALL), images=data)


def test_a_benchmark_of_avalanche_is_a_stream():
    rows = list(zip(*TRAIN, strict=True))[:40]
    experience = SimpleNamespace(classes_in_this_experience=range(10), dataset=rows)
    benchmark = SimpleNamespace(train_stream=[experience] * 2, test_stream=[experience] * 2)
    data = as_images(benchmark)
    assert data.train_tasks.tolist() == [0] * 40 + [1] * 40
