import numpy as np
import pytest
import torch
from PIL import Image

from lord.conftest import refused
from lord.data import DataConfig, from_datasets, images, load_images

datasets = pytest.importorskip("datasets", reason="Hugging Face datasets is not installed")
DIGITS = load_images(DataConfig())


def split(images, labels):
    rows = {"image": [Image.fromarray(i[0].numpy()) for i in images], "label": labels.tolist()}
    names = datasets.ClassLabel(names=list("0123456789"))
    features = datasets.Features({"image": datasets.Image(), "label": names})
    return datasets.Dataset.from_dict(rows, features=features)


def test_images_labels_and_names_of_a_dataset_are_read():
    train = split(DIGITS.train_images[:50], DIGITS.train_labels[:50])
    found = from_datasets(train, split(DIGITS.test_images[:20], DIGITS.test_labels[:20]))
    assert (found.train_images == DIGITS.train_images[:50]).all()
    assert (found.test_labels == DIGITS.test_labels[:20]).all()
    assert found.classes == tuple("0123456789")
    assert from_datasets(train, train, resize=16).shape == (1, 16, 16)


def test_a_missing_column_is_refused():
    train = split(DIGITS.train_images[:5], DIGITS.train_labels[:5])
    with refused("image", given="img", allowed="one of image, label"):
        from_datasets(train, train, image="img")
    assert np.asarray(train[0]["image"]).shape == (8, 8)


def test_splits_that_do_not_fit_each_other_are_refused():
    images, labels = DIGITS.train_images[:6], DIGITS.train_labels[:6]
    train = split(images, labels)
    for test, allowed in [
        (split(images, torch.full((6,), -1)), "labels from 0 to 9"),
        (split(images[:, :, :7], labels), "1 x 8 x 8 as in `train`"),
        (split(images[:0], labels[:0]), "at least one image"),
    ]:
        with refused("test", allowed=allowed):
            from_datasets(train, test)


def test_images_of_different_sizes_are_refused_unless_resized():
    rows = {"image": [Image.new("L", (8, side)) for side in (8, 9)], "label": [0, 1]}
    features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("int64")})
    mixed = datasets.Dataset.from_dict(rows, features=features)
    with refused("train", hint="set `resize`"):
        from_datasets(mixed, mixed)
    assert from_datasets(mixed, mixed, resize=8).classes == ("0", "1")


def test_a_dataset_dict_is_read_with_its_names_and_any_columns():
    half = split(DIGITS.train_images[:50], DIGITS.train_labels[:50])
    both = datasets.DatasetDict(train=half, test=half).rename_columns({"image": "img"})
    found = images(both, image="img")
    assert found.classes == tuple("0123456789")
    assert (found.test_images == DIGITS.train_images[:50]).all()
    assert found.key != images(both, image="img", resize=4).key
