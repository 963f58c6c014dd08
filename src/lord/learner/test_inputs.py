"""What a learner predicts: files, PIL images and arrays of any size."""

import re

import numpy as np
import pytest
import torch
from PIL import Image

from lord.conftest import refused
from lord.learner import Learner
from lord.learner.images import BATCH, batches


@pytest.fixture(scope="module")
def seen():
    """A head that has learned colour images of 12 x 10 pixels, red ones and blue ones."""
    images = np.random.default_rng(0).integers(0, 90, (40, 12, 10, 3), dtype=np.uint8)
    images[::2, ..., 0] += 150
    images[1::2, ..., 2] += 150
    learner = Learner(method="slda")
    learner.learn(images, ["red", "blue"] * 20)
    return learner, images


def test_every_kind_of_image_gets_the_answer_of_its_pixels(seen, tmp_path):
    learner, images = seen
    wanted = learner.predict_proba(images[:5])
    files = [tmp_path / f"{n}.png" for n in range(5)]
    for image, file in zip(images, files, strict=False):
        Image.fromarray(image).save(file)
    mixed = [str(files[0]), files[1], Image.open(files[2]), images[3], torch.tensor(images[4])]
    for given in (mixed, np.array([str(file) for file in files]), iter(mixed)):
        np.testing.assert_allclose(learner.predict_proba(given), wanted, rtol=1e-5)
    assert learner.predictions(files[0])[0].label == "red"
    assert learner.evaluate(files, ["red", "blue"] * 2 + ["red"]) == 100
    assert len(learner.predict([])) == len(learner.predictions([])) == 0


def test_large_pictures_are_resized_and_turned_upright_as_folders_are(seen, tmp_path):
    learner, _ = seen
    picture = Image.effect_noise((30, 50), 90).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(tmp_path / "turned.png", exif=exif)
    upright = picture.rotate(-90, expand=True)
    resized = np.asarray(upright.resize((10, 12), Image.Resampling.BILINEAR))
    wanted = learner.predict_proba(resized[None])
    opened = Image.open(tmp_path / "turned.png")
    for given in (
        tmp_path / "turned.png",
        opened,
        [np.asarray(upright)],
        np.asarray(upright)[None],
    ):
        np.testing.assert_allclose(learner.predict_proba(given), wanted, rtol=1e-5)


def test_grey_and_colour_are_matched_where_that_loses_nothing():
    grey = Image.new("L", (8, 8), 7)
    assert next(batches([grey], (3, 8, 8))).shape == (1, 3, 8, 8)
    assert next(batches([grey.convert("RGB")], (1, 8, 8))).tolist() == [[[[7] * 8] * 8]]
    with refused("images", problem=re.compile("in colour; this learner has learned grey images")):
        next(batches([Image.new("RGB", (8, 8), "red")], (1, 8, 8)))


def test_a_file_that_cannot_be_read_is_named(seen, tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    for name, why in (("text.png", "unknown format"), ("gone.png", "No such file")):
        with refused(None, problem=re.compile(f"{name}': {why}")):
            seen[0].predictions([tmp_path / name])
    for wrong in (5, b"a.png", [b"a.png"], None, [None], [images := np.zeros((2, 3, 4, 5, 6))]):
        with refused("images"):
            seen[0].predict(wrong)
    assert images.any() == 0


def test_the_most_likely_classes_are_told_in_order(seen):
    learner, images = seen
    found = learner.predictions(images[:2], top=5)
    for each, shares in zip(found, learner.predict_proba(images[:2]), strict=True):
        assert dict(each.top) == pytest.approx(dict(zip(learner.classes, shares, strict=True)))
        assert each.top[0] == (each.label, each.confidence)
    assert learner.predictions(images[:1])[0].top == ()
    for wrong in ("a", 1.5, None):
        with refused("top", given=wrong, allowed="an integer"):
            learner.predictions(images[:1], top=wrong)


def test_images_come_in_batches_that_bound_memory():
    parts = list(batches((np.zeros((8, 8), np.uint8) for _ in range(BATCH + 1)), (1, 8, 8)))
    assert [len(part) for part in parts] == [BATCH, 1]
