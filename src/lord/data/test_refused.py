"""Unsuitable images are refused, and the error names them."""

import io
import os
import re
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from lord.config import UserError
from lord.conftest import refused
from lord.data import DataConfig, decode, load_images, load_labelled, measure_normalisation
from lord.data.cache import cache_folder


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LORD_CACHE", str(tmp_path / "cache"))


def load(path, **settings):
    return load_images(DataConfig(data=str(path), **settings))


def test_a_class_without_test_images_is_refused(photos):
    for file in (photos / "test" / "cat").iterdir():
        file.unlink()
    with refused(None, problem=re.compile("class 'cat' of .* has no test images")):
        load(photos)
    for file in sorted((photos / "train" / "cat").iterdir())[2:]:
        file.unlink()
    with refused("holdout", given=0.3, hint="set a larger share"):
        load(photos / "train", holdout=0.3)


def test_a_class_with_test_images_only_is_refused_for_a_run_but_not_for_learning(photos):
    shutil.rmtree(photos / "train" / "cat")
    with refused(None, problem=re.compile("class 'cat' of .* has no train images")):
        load(photos)
    _, labels, _ = load_labelled(photos, 8)
    assert set(labels) == {"ant", "bee"}


def test_a_class_with_unreadable_images_is_refused_and_not_ignored(photos):
    (photos / "train" / "empty").mkdir()  # an empty folder is ignored
    (photos / "train" / ".hidden").mkdir()
    assert load(photos).classes == ("ant", "bee", "cat")
    (photos / "train" / "dog").mkdir()
    (photos / "train" / "dog" / "1.doc").write_bytes(b"x")
    problem = re.compile(r"dog': no images, only files that end in \.doc")
    with refused(None, problem=problem):
        load(photos)
    with refused(None, problem=problem):
        load_labelled(photos / "train", 8)
    shutil.copy(photos / "train" / "cat" / "02.png", photos / "train" / "dog")
    (photos / "train" / "dog" / "1.HEIC").write_bytes(b"x")  # next to a readable image
    with refused(None, problem=re.compile(r"1\.HEIC': unknown format")):
        load_labelled(photos / "train", 8)


def test_links_are_followed_and_hidden_files_are_ignored(photos, tmp_path):
    before = len(load(photos).train_labels)
    cats = photos / "train" / "cat"
    more = tmp_path / "store"
    shutil.copytree(cats, more)
    (cats / "more").symlink_to(more)
    (more / "round").symlink_to(cats)  # a circle of links
    hidden = cats / ".thumbnails"
    hidden.mkdir()
    shutil.copy(cats / "02.png", hidden)
    (cats / "._02.png").write_bytes(b"not an image")
    assert len(load(photos).train_labels) == before + 6
    (photos / "train" / "gone").symlink_to(tmp_path / "nowhere")
    with refused(None, problem=re.compile("gone': a link to a file that does not exist")):
        load(photos)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root can read any folder")
def test_a_class_without_read_permission_is_refused(photos):
    (photos / "train" / "bee").chmod(0)
    with refused(None, problem=re.compile("cannot read '.*bee': Permission denied")):
        load(photos)


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({"XDG_CACHE_HOME": "/x"}, "/x/lord"),
        ({"XDG_CACHE_HOME": "", "HOME": "/h"}, "/h/.cache/lord"),
        ({"LORD_CACHE": "/c", "XDG_CACHE_HOME": "/x"}, "/c"),
    ],
)
def test_environment_variables_choose_the_cache_folder(monkeypatch, variables, wanted):
    for name in ("LORD_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert str(cache_folder()) == wanted


def test_a_label_without_training_images_is_refused(tmp_path, pixels):
    labels = np.arange(24) % 2 * 3
    np.savez(tmp_path / "a.npz", x_train=pixels, y_train=labels, x_test=pixels, y_test=labels)
    with refused(None, problem=re.compile("class '1' of .* has no train images")):
        load(tmp_path / "a.npz")


def test_images_without_a_test_split_are_checked_too(tmp_path, pixels):
    file = tmp_path / "a.npz"
    names = np.array(["a", "b"])
    for arrays, problem in [
        ({"x_train": pixels, "y_train": np.arange(24) - 1}, "label -1"),
        ({"x_train": pixels[:0], "y_train": np.arange(0)}, "no train images"),
        ({"x_train": pixels, "y_train": np.arange(24) % 3, "class_names": names}, "label 2"),
    ]:
        np.savez(file, **arrays)
        with refused(None, problem=re.compile(problem)):
            load_labelled(file, 8)
    np.savez(file, x_train=pixels, y_train=np.arange(24) % 2)
    with refused("resize", given=32, allowed="8, as arrays are not resized"):
        load_labelled(file, 32)
    (tmp_path / "batches").mkdir()
    (tmp_path / "batches" / "batches.meta").write_bytes(b"")
    (tmp_path / "batches" / "data_batch_1").write_bytes(b"")
    with refused(None, problem=re.compile("is incomplete: 'data_batch_2' is missing")):
        load_labelled(tmp_path / "batches", 32)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", "array"])
def test_a_file_that_is_not_an_archive_is_refused(tmp_path, content):
    file = tmp_path / "a.npz"
    if content == "array":
        with file.open("wb") as stream:
            np.save(stream, np.zeros(3))
    else:
        file.write_bytes(content)
    with refused(None, problem=re.compile(r"cannot read '.*a\.npz': ")):
        load_labelled(file, 8)


@pytest.mark.skipif(os.name != "posix", reason="names of files are not bytes")
def test_class_names_in_both_forms_of_unicode_are_equal(tmp_path):
    for week, name in (("one", "gr\u00fcn"), ("two", "gru\u0308n")):
        for folder in (name, "b"):
            (tmp_path / week / folder).mkdir(parents=True)
            Image.new("L", (8, 8)).save(tmp_path / week / folder / "0.png")
    one, two = (load_labelled(tmp_path / week, 8)[1] for week in ("one", "two"))
    assert one == two == ["b", "gr\u00fcn"]


def test_an_image_outside_the_folders_of_classes_is_refused(photos):
    Image.new("L", (8, 8)).save(photos / "train" / "stray.png")
    problem = re.compile(r"stray\.png': not in the folder of a class")
    with refused(None, problem=problem):
        load_images(DataConfig(data=str(photos)))


def test_class_folders_may_have_names_that_are_not_utf8(photos):
    (photos / "train" / "cat").rename(os.fsdecode(os.fsencode(photos / "train") + b"/caf\xe9"))
    (photos / "test" / "cat").rename(os.fsdecode(os.fsencode(photos / "test") + b"/caf\xe9"))
    (photos / "train" / "bee").rename(os.fsdecode(os.fsencode(photos / "train") + b"/caf\xe8"))
    (photos / "test" / "bee").rename(os.fsdecode(os.fsencode(photos / "test") + b"/caf\xe8"))
    assert load(photos).classes == ("ant", "caf\\xe8", "caf\\xe9")  # two, not one


def test_an_image_that_does_not_exist_is_named_once(tmp_path):
    file = tmp_path / "gone.png"
    problem = f"cannot use '{file}': No such file or directory"
    with refused(None, problem=problem):
        decode([(str(file), file.read_bytes)], 8)


def test_a_broken_link_and_an_unreadable_file_are_named(photos):
    (photos / "train" / "bee" / "zz.png").symlink_to(photos / "train" / "bee" / "zy.png")
    with refused(None, problem=re.compile(r"zz\.png': a link")):
        load(photos)
    (photos / "train" / "bee" / "zz.png").unlink()
    if os.geteuid() == 0:
        pytest.skip("root can read any file")
    (photos / "train" / "bee" / "01.png").chmod(0)
    with refused(None, problem=re.compile("cannot use '.*01.png': Permission denied")):
        load(photos)


def test_an_image_with_damaged_exif_data_is_named():
    image, buffer = Image.new("RGB", (8, 8)), io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # rotated by 90 degrees
    image.save(buffer, "jpeg", exif=exif)
    good = buffer.getvalue()
    assert decode([("a.jpg", lambda: good)], None).shape == (1, 8, 8, 3)
    start = good.index(b"Exif")
    source, problems = np.random.default_rng(0), []
    for _ in range(300):
        bad = bytearray(good)
        for place in source.integers(start, start + 40, 3):
            bad[place] = source.integers(0, 256)
        try:
            decode([("a.jpg", lambda bad=bad: bytes(bad))], None)
        except UserError as error:
            problems.append(error.problem)
    assert problems
    assert all(problem.startswith("cannot use 'a.jpg': ") for problem in problems)


def test_an_image_of_extreme_size_is_not_decoded(recwarn):
    buffer = io.BytesIO()
    Image.new("1", (12_000, 12_000)).save(buffer, "png")
    with refused(None, problem="cannot use 'big.png': more than 89 million pixels"):
        decode([("big.png", buffer.getvalue)], 32)
    assert not recwarn.list


def test_the_deviation_of_a_constant_channel_is_not_zero():
    for value in range(256):
        images = torch.full((7, 3, 5, 5), value, dtype=torch.uint8)
        (mean, *_), (deviation, *_) = measure_normalisation(images)
        assert mean == pytest.approx(value / 255)
        assert deviation == pytest.approx(1 / 255)


def test_damaged_files_raise_user_errors_only(tmp_path, pixels):
    labels, file = np.arange(24) % 2, tmp_path / "a.npz"
    arrays = {"x_train": pixels, "y_train": labels, "x_test": pixels, "y_test": labels}
    np.savez_compressed(file, **arrays)
    whole, source, errors = file.read_bytes(), np.random.default_rng(0), 0
    for _ in range(200):
        bad = bytearray(whole)
        for place in source.integers(0, len(bad), 3):
            bad[place] = source.integers(0, 256)
        file.write_bytes(bad)
        try:
            load(file)
        except UserError:
            errors += 1
    assert errors > 100
    np.savez(file, **arrays, class_names=np.array("a"))
    with refused(None, problem=re.compile("too few classes: a"), allowed="at least two"):
        load(file)


def test_a_parquet_file_without_image_bytes_is_refused(tmp_path):
    empty = pa.table({"image": pa.array([], pa.struct({"path": pa.string()})), "label": []})
    pq.write_table(empty, tmp_path / "train.parquet")
    with refused(None, problem=re.compile("column image of .* has no field 'bytes'")):
        load(tmp_path / "train.parquet")


def test_a_damaged_cache_entry_is_replaced(tmp_path, photos):
    images = load(photos).train_images.clone()
    (folder,) = (tmp_path / "cache").iterdir()
    for damage in ("unlink", "truncate"):
        file = folder / "train_images.npy"
        file.unlink() if damage == "unlink" else os.truncate(file, 40)
        assert torch.equal(load(photos).train_images, images)


def test_both_splits_have_three_channels_if_one_has_colour_images(photos):
    for file in sorted((photos / "test").rglob("*.png")):
        with Image.open(file) as image:
            image.convert("L").save(file)
    images = load(photos)
    assert images.test_images.shape[1] == images.train_images.shape[1] == 3
    assert (images.test_images == images.test_images[:, :1]).all()


@pytest.mark.parametrize(
    ("images", "labels", "parts"),
    [
        ((80, 3, 8, 8), np.arange(80) % 4, {"hint": re.compile(r"x\.transpose\(0, 2, 3, 1\)")}),
        ((80, 8), np.arange(80) % 4, {"allowed": re.compile("N x H x W")}),
        ((0, 8, 8, 3), np.arange(0), {"problem": re.compile("no train images")}),
        ((80, 8, 8, 3), np.arange(79), {"allowed": "80 integers, one for each image"}),
        (
            (80, 8, 8, 3),
            np.arange(80) % 4 * 10**9,
            {"problem": re.compile("label 3000000000, for 80 images")},
        ),
    ],
)
def test_arrays_that_are_not_labelled_images_are_refused(tmp_path, images, labels, parts):
    pixels = np.zeros(images, dtype=np.uint8)
    np.savez(tmp_path / "a.npz", x_train=pixels, y_train=labels)
    with refused(None, **parts):
        load(tmp_path / "a.npz", holdout=0.5)
