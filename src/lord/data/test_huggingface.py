import numpy as np
import pytest
import torch
from PIL import Image

from lord.config import UserError
from lord.data import DataConfig, from_datasets, load_images

datasets = pytest.importorskip("datasets", reason="Hugging Face datasets is not installed")
DIGITS = load_images(DataConfig())


def split(images, labels):
    rows = {"image": [Image.fromarray(i[0].numpy()) for i in images], "label": labels.tolist()}
    names = datasets.ClassLabel(names=list("0123456789"))
    features = datasets.Features({"image": datasets.Image(), "label": names})
    return datasets.Dataset.from_dict(rows, features=features)


def test_a_dataset_has_the_images_it_was_made_of():
    train = split(DIGITS.train_images[:50], DIGITS.train_labels[:50])
    found = from_datasets(train, split(DIGITS.test_images[:20], DIGITS.test_labels[:20]))
    assert (found.train_images == DIGITS.train_images[:50]).all()
    assert (found.test_labels == DIGITS.test_labels[:20]).all()
    assert found.classes == tuple("0123456789")
    assert from_datasets(train, train, resize=16).shape == (1, 16, 16)


def test_a_missing_column_is_named():
    train = split(DIGITS.train_images[:5], DIGITS.train_labels[:5])
    with pytest.raises(UserError, match="no column 'img' in the train split; it has: image, label"):
        from_datasets(train, train, image="img")
    assert np.asarray(train[0]["image"]).shape == (8, 8)


def test_splits_that_do_not_fit_are_refused():
    images, labels = DIGITS.train_images[:6], DIGITS.train_labels[:6]
    train = split(images, labels)
    for test, said in [
        (split(images, torch.full((6,), -1)), "a label of the test split is -1, but there are 10"),
        (split(images[:, :, :7], labels), r"train images are \(1, 8, 8\), test images \(1, 7, 8\)"),
        (split(images[:0], labels[:0]), "no images in the test split"),
    ]:
        with pytest.raises(UserError, match=said):
            from_datasets(train, test)
