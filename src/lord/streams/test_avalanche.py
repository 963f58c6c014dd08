"""Benchmarks of Avalanche: a stand-in with the same attributes, and the library if installed."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from lord.conftest import refused
from lord.data import DataConfig, load_images
from lord.streams.avalanche import from_avalanche

DIGITS = load_images(DataConfig())


def experiences(images, labels, groups, form):
    found = []
    for group in groups:
        rows = torch.isin(labels, torch.tensor(group)).nonzero().flatten().tolist()
        data = [(form(images[row]), int(labels[row]), 0) for row in rows]
        found.append(SimpleNamespace(classes_in_this_experience=list(group), dataset=data))
    return found


FORMS = [lambda i: i.float() / 255, lambda i: i, lambda i: Image.fromarray(i[0].numpy())]


@pytest.mark.parametrize("form", FORMS, ids=["float", "bytes", "PIL"])
def test_each_experience_is_a_task_with_labels_in_order_of_appearance(form):
    groups = [(7, 1), (3,)]
    benchmark = SimpleNamespace(
        train_stream=experiences(DIGITS.train_images, DIGITS.train_labels, groups, form),
        test_stream=experiences(DIGITS.test_images, DIGITS.test_labels, groups, form),
    )
    stream = from_avalanche(benchmark)
    assert stream.class_names == ("1", "7", "3")
    assert [task.classes for task in stream.train] == [(0, 1), (2,)]
    threes = DIGITS.train_images[DIGITS.train_labels == 3]
    assert torch.equal(stream.train[1].images, threes)


def test_normalised_images_are_refused():
    data = [(torch.full((1, 2, 2), -1.0), 0, 0)]
    stream = [SimpleNamespace(classes_in_this_experience=[0], dataset=data)]
    with refused("benchmark", allowed="images from 0 to 1"):
        from_avalanche(SimpleNamespace(train_stream=stream, test_stream=stream))


def test_a_train_experience_without_a_test_experience_is_refused():
    data = [(torch.zeros(1, 2, 2), 0, 0)]
    stream = [SimpleNamespace(classes_in_this_experience=[0], dataset=data)]
    with refused("benchmark", problem="has 1 train experiences and 0 test experiences"):
        from_avalanche(SimpleNamespace(train_stream=stream, test_stream=[]))


def test_a_real_avalanche_benchmark_is_read():
    pytest.importorskip("avalanche", reason="Avalanche is not installed")
    from avalanche.benchmarks import nc_benchmark  # noqa: PLC0415
    from torch.utils.data import TensorDataset  # noqa: PLC0415

    data = TensorDataset(DIGITS.train_images.float() / 255, DIGITS.train_labels)
    data.targets = DIGITS.train_labels.tolist()
    benchmark = nc_benchmark(data, data, n_experiences=5, task_labels=False, seed=0)
    stream = from_avalanche(benchmark)
    assert len(stream.train) == 5
    assert sum(len(task.labels) for task in stream.train) == len(DIGITS.train_labels)
    assert np.isin(stream.train[0].labels, (0, 1)).all()
