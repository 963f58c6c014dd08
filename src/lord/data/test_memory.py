"""Data sets in memory, from every kind of container."""

import re

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import TensorDataset

from lord.conftest import refused
from lord.data import DataConfig, images, images_by_task, keep, load_images, load_readable

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 2])
TENSORS = torch.from_numpy(PIXELS).permute(0, 3, 1, 2)


class Photos:
    """A map-style dataset of PIL images, with names of classes."""

    classes = ("ant", "bee", "cat")

    def __len__(self):
        return len(LABELS)

    def __getitem__(self, place):
        return Image.fromarray(PIXELS[place]), int(LABELS[place])


@pytest.mark.parametrize(
    "split",
    [
        (PIXELS, LABELS),
        (PIXELS.transpose(0, 3, 1, 2), LABELS.tolist()),
        (TENSORS, torch.from_numpy(LABELS)),
        (PIXELS.astype(np.float32) / 255, LABELS.astype(np.uint8)),
        ([Image.fromarray(image) for image in PIXELS], LABELS),
        TensorDataset(TENSORS.float() / 255, torch.from_numpy(LABELS)),
        list(zip(TENSORS, LABELS.tolist(), strict=True)),
        Photos(),
    ],
    ids=["array", "first", "tensor", "float", "PIL", "TensorDataset", "list", "dataset"],
)
def test_every_container_gives_the_same_images(split):
    data = images({"train": split, "validation": split}, classes=Photos.classes)
    assert torch.equal(data.train_images, TENSORS)
    assert data.test_labels.tolist() == LABELS.tolist()
    assert data.key == images(Photos(), Photos()).key
    assert data.classes == Photos.classes


def test_a_turned_photograph_is_the_same_as_from_a_folder(tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 6
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.fromarray(PIXELS[0][:, :4]).save(tmp_path / name / "1.jpg", exif=turned, quality=95)
    pictures = [Image.open(tmp_path / name / "1.jpg") for name in "ab"]
    data = images((pictures, [0, 1]), (pictures, [0, 1]))
    assert torch.equal(data.train_images, load_readable(tmp_path, None).images)


def test_names_come_from_the_dataset_and_grey_images_get_channels():
    assert images(Photos(), Photos()).classes == Photos.classes
    grey = images((PIXELS[..., 0], LABELS), Photos(), resize=4)
    assert grey.classes == ("0", "1", "2")
    assert grey.shape == (3, 4, 4)
    mixed = [Image.new("L", (8, 8), 7), Image.new("RGB", (8, 8), (1, 2, 3))]
    assert images((mixed, [0, 1]), (mixed, [0, 1])).train_images[:, :, 0, 0].tolist() == [
        [7, 7, 7],
        [1, 2, 3],
    ]


@pytest.mark.parametrize("kind", [np.array, tuple, list])
def test_names_of_classes_may_be_an_array_or_any_sequence(kind):
    data, names = Photos(), kind(["x", "y", "z"])
    assert images(data, data, classes=names).classes == ("x", "y", "z")
    assert images_by_task([(data, data)], classes=names).classes == ("x", "y", "z")


def test_kept_images_are_read_by_their_name_and_lost_ones_are_named():
    data = images_by_task([(Photos(), Photos()), ((255 - PIXELS, LABELS), Photos())])
    name = keep(data)
    found = load_images(DataConfig(data=name))
    assert found.key == data.key == name.removeprefix("memory:")
    for part in ("train_images", "test_labels", "train_tasks", "test_tasks"):
        assert torch.equal(getattr(found, part), getattr(data, part))
    for given in ("memory", "memory:0123"):
        with refused("data", given=given):
            load_images(DataConfig(data=given))
    with refused("resize", given=8):
        load_images(DataConfig(data=name, resize=8))


WRONG = {
    "normalised": ((PIXELS - 128.0, LABELS), "train", re.compile("below 0 or above 1")),
    "labels": ((PIXELS, LABELS[:3]), "train", re.compile("has labels of type int64")),
    "text": ((PIXELS, ["a"] * 6), "train", re.compile("has labels of type <U1")),
    "negative": ((PIXELS, LABELS - 1), "train", "has the label -1"),
    "channels": ((PIXELS[:, :, :, :1].repeat(9, 3), LABELS), "train", re.compile("8 x 8 x 9")),
    "sizes": (([PIXELS[0], PIXELS[0, :4]], [0, 1]), "train", re.compile("different sizes")),
    "rows": ([1, 2], "train", "has rows that are not pairs"),
    "number": (5, "train", ""),
    "mapping": ({"train": Photos()}, "train", "has the splits train"),
}


@pytest.mark.parametrize(("split", "field", "problem"), WRONG.values(), ids=WRONG)
def test_what_is_no_split_is_refused(split, field, problem):
    with refused(field, problem=problem):
        images(split, None if isinstance(split, dict) else (PIXELS, LABELS))


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (["a", "a", "b"], "names 2 labels"),
        (np.array(["a", "b", "b"]), "names 2 labels"),
        ("abc", ""),
        ({"a", "b", "c"}, ""),
        (5, ""),
        (["a", "b", None], "has None where a name should be"),
    ],
)
def test_names_of_classes_that_are_equal_or_no_sequence_are_refused(names, problem):
    with refused("classes", problem=problem):
        images(Photos(), Photos(), classes=names)
    with refused("classes", problem=problem):
        images_by_task([(Photos(), Photos())], classes=names)


@pytest.mark.parametrize("resize", [-1, 0, "a", 1.5])
def test_a_size_that_is_no_count_is_refused(resize):
    for read in (images, lambda *both, resize: images_by_task([both], resize=resize)):
        with refused("resize", given=resize, allowed=re.compile("an integer, at least 1")):
            read(Photos(), Photos(), resize=resize)


@pytest.mark.parametrize("tasks", [None, 5, {}])
def test_tasks_that_are_no_sequence_are_refused(tasks):
    with refused("tasks", given=type(tasks).__name__, allowed=re.compile("pairs")):
        images_by_task(tasks)
