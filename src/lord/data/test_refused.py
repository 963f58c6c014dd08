"""Images that cannot be learnt from: each refused in one line that says why."""

import io
import os
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from lord.config import UserError
from lord.data import DataConfig, decode, load_images, load_labelled, measure_normalisation
from lord.data.cache import cache_folder


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LORD_CACHE", str(tmp_path / "cache"))


def load(path, **settings):
    return load_images(DataConfig(data=str(path), **settings))


def test_a_class_without_test_images_is_named(photos):
    for file in (photos / "test" / "cat").iterdir():
        file.unlink()
    with pytest.raises(UserError, match="class 'cat' has no test images in"):
        load(photos)
    for file in sorted((photos / "train" / "cat").iterdir())[2:]:
        file.unlink()
    with pytest.raises(UserError, match=r"class 'cat' has no test images .*; give a larger --hold"):
        load(photos / "train", holdout=0.3)


def test_a_class_is_not_passed_over_for_files_that_cannot_be_read(photos):
    (photos / "train" / "empty").mkdir()  # nothing there, nothing lost
    (photos / "train" / ".hidden").mkdir()
    assert load(photos).classes == ("ant", "bee", "cat")
    (photos / "train" / "dog").mkdir()
    (photos / "train" / "dog" / "1.doc").write_bytes(b"x")
    with pytest.raises(UserError, match=r"no image in '.*dog' can be read: .* end in \.doc; kn"):
        load(photos)
    with pytest.raises(UserError, match=r"no image in '.*dog' can be read"):
        load_labelled(photos / "train", 8)
    shutil.copy(photos / "train" / "cat" / "02.png", photos / "train" / "dog")
    (photos / "train" / "dog" / "1.HEIC").write_bytes(b"x")  # beside one that can be read
    with pytest.raises(UserError, match=r"'.*1\.HEIC' cannot be read; known: \.bmp"):
        load_labelled(photos / "train", 8)


def test_folders_are_followed_through_links_and_hidden_ones_are_not(photos, tmp_path):
    before = len(load(photos).train_labels)
    own = photos / "train" / "cat"
    more = tmp_path / "store"
    shutil.copytree(own, more)
    (own / "more").symlink_to(more)
    (more / "round").symlink_to(own)  # in a circle
    hidden = own / ".thumbnails"
    hidden.mkdir()
    shutil.copy(own / "02.png", hidden)
    (own / "._02.png").write_bytes(b"no picture")
    assert len(load(photos).train_labels) == before + 6
    (photos / "train" / "gone").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"'.*gone' is a link to what is not there"):
        load(photos)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may look anywhere")
def test_a_class_that_one_may_not_look_into_is_named(photos):
    (photos / "train" / "bee").chmod(0)
    with pytest.raises(UserError, match=r"cannot read '.*bee': Permission denied"):
        load(photos)


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({"XDG_CACHE_HOME": "/x"}, "/x/lord"),
        ({"XDG_CACHE_HOME": "", "HOME": "/h"}, "/h/.cache/lord"),
        ({"LORD_CACHE": "/own", "XDG_CACHE_HOME": "/x"}, "/own"),
    ],
)
def test_the_cache_is_where_the_environment_says(monkeypatch, variables, wanted):
    for name in ("LORD_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert str(cache_folder()) == wanted


def test_a_label_that_no_training_image_has_is_named(tmp_path, pixels):
    labels = np.arange(24) % 2 * 3
    np.savez(tmp_path / "a.npz", x_train=pixels, y_train=labels, x_test=pixels, y_test=labels)
    with pytest.raises(UserError, match="class '1' has no train images"):
        load(tmp_path / "a.npz")


def test_a_learner_checks_its_images_as_a_run_does(tmp_path, pixels):
    file = tmp_path / "a.npz"
    for arrays, said in [
        ({"x_train": pixels, "y_train": np.arange(24) - 1}, "label of .* is -1, but there are 23"),
        ({"x_train": pixels[:0], "y_train": np.arange(0)}, "no train images in"),
        (
            {"x_train": pixels, "y_train": np.arange(24) % 3, "class_names": np.array(["a", "b"])},
            "is 2, but there are 2 classes, from 0 on",
        ),
    ]:
        np.savez(file, **arrays)
        with pytest.raises(UserError, match=said):
            load_labelled(file, 8)
    np.savez(file, x_train=pixels, y_train=np.arange(24) % 2)
    with pytest.raises(
        UserError, match=r"arrays of 8 x 8 pixels, .* not resized to 32 x 32; begin with --resize 8"
    ):
        load_labelled(file, 32)
    (tmp_path / "batches").mkdir()
    (tmp_path / "batches" / "batches.meta").write_bytes(b"")
    (tmp_path / "batches" / "data_batch_1").write_bytes(b"")
    with pytest.raises(UserError, match="is incomplete: no data_batch_2"):
        load_labelled(tmp_path / "batches", 32)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", "array"])
def test_what_is_no_archive_is_refused(tmp_path, content):
    file = tmp_path / "a.npz"
    if content == "array":
        with file.open("wb") as stream:
            np.save(stream, np.zeros(3))
    else:
        file.write_bytes(content)
    with pytest.raises(UserError, match=r"cannot read .*a\.npz: "):
        load_labelled(file, 8)


@pytest.mark.skipif(os.name != "posix", reason="names are not bytes there")
def test_a_name_is_the_same_in_either_form_of_unicode(tmp_path):
    for week, name in (("one", "gr\u00fcn"), ("two", "gru\u0308n")):
        for own in (name, "b"):
            (tmp_path / week / own).mkdir(parents=True)
            Image.new("L", (8, 8)).save(tmp_path / week / own / "0.png")
    one, two = (load_labelled(tmp_path / week, 8)[1] for week in ("one", "two"))
    assert one == two == ["b", "gr\u00fcn"]


def test_images_beside_the_classes_are_not_passed_over(photos):
    Image.new("L", (8, 8)).save(photos / "train" / "stray.png")
    with pytest.raises(UserError, match=r"stray\.png' is in no class's folder"):
        load_images(DataConfig(data=str(photos)))


def test_names_need_not_be_utf8(photos):
    (photos / "train" / "cat").rename(os.fsdecode(os.fsencode(photos / "train") + b"/caf\xe9"))
    (photos / "test" / "cat").rename(os.fsdecode(os.fsencode(photos / "test") + b"/caf\xe9"))
    (photos / "train" / "bee").rename(os.fsdecode(os.fsencode(photos / "train") + b"/caf\xe8"))
    (photos / "test" / "bee").rename(os.fsdecode(os.fsencode(photos / "test") + b"/caf\xe8"))
    assert load(photos).classes == ("ant", "caf\\xe8", "caf\\xe9")  # two, not one


def test_a_file_that_goes_away_is_named(photos):
    (photos / "train" / "bee" / "zz.png").symlink_to(photos / "train" / "bee" / "zy.png")
    with pytest.raises(UserError, match=r"'.*zz\.png' is a link to what is not there"):
        load(photos)
    (photos / "train" / "bee" / "zz.png").unlink()
    if os.geteuid() == 0:
        pytest.skip("to this user nothing is forbidden")
    (photos / "train" / "bee" / "01.png").chmod(0)
    with pytest.raises(UserError, match=r"cannot read '.*01.png': Permission denied"):
        load(photos)


def test_damaged_exif_names_the_image():
    image, buffer = Image.new("RGB", (8, 8)), io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # on its side
    image.save(buffer, "jpeg", exif=exif)
    good = buffer.getvalue()
    assert decode([("a.jpg", lambda: good)], None).shape == (1, 8, 8, 3)
    start = good.index(b"Exif")
    source, refused = np.random.default_rng(0), []
    for _ in range(300):
        bad = bytearray(good)
        for place in source.integers(start, start + 40, 3):
            bad[place] = source.integers(0, 256)
        try:
            decode([("a.jpg", lambda bad=bad: bytes(bad))], None)
        except UserError as error:
            refused.append(str(error))
    assert refused
    assert all("the image a.jpg: " in said for said in refused)


def test_a_picture_of_monstrous_size_is_not_decoded(recwarn):
    buffer = io.BytesIO()
    Image.new("1", (12_000, 12_000)).save(buffer, "png")
    with pytest.raises(UserError, match=r"cannot decode the image big\.png: Image size"):
        decode([("big.png", buffer.getvalue)], 32)
    assert not recwarn.list


def test_a_channel_of_one_value_has_a_deviation():
    for value in range(256):
        images = torch.full((7, 3, 5, 5), value, dtype=torch.uint8)
        (mean, *_), (deviation, *_) = measure_normalisation(images)
        assert mean == pytest.approx(value / 255)
        assert deviation == pytest.approx(1 / 255)


def test_files_cut_altered_or_odd_are_refused_in_a_line(tmp_path, pixels):
    labels, file = np.arange(24) % 2, tmp_path / "a.npz"
    arrays = {"x_train": pixels, "y_train": labels, "x_test": pixels, "y_test": labels}
    np.savez_compressed(file, **arrays)
    whole, source, refused = file.read_bytes(), np.random.default_rng(0), 0
    for _ in range(200):
        bad = bytearray(whole)
        for place in source.integers(0, len(bad), 3):
            bad[place] = source.integers(0, 256)
        file.write_bytes(bad)
        try:
            load(file)
        except UserError:
            refused += 1
    assert refused > 100
    np.savez(file, **arrays, class_names=np.array("a"))
    with pytest.raises(UserError, match="only one class in"):
        load(file)
    empty = pa.table({"image": pa.array([], pa.struct({"path": pa.string()})), "label": []})
    pq.write_table(empty, tmp_path / "train.parquet")
    with pytest.raises(UserError, match="column image has no 'bytes'"):
        load(tmp_path / "train.parquet")


def test_a_damaged_cache_is_made_again(tmp_path, photos):
    images = load(photos).train_images.clone()
    (folder,) = (tmp_path / "cache").iterdir()
    for damage in ("unlink", "truncate"):
        file = folder / "train_images.npy"
        file.unlink() if damage == "unlink" else os.truncate(file, 40)
        assert torch.equal(load(photos).train_images, images)


def test_images_grey_in_one_split_only_are_all_taken_in_colour(photos):
    for file in sorted((photos / "test").rglob("*.png")):
        with Image.open(file) as image:
            image.convert("L").save(file)
    images = load(photos)
    assert images.test_images.shape[1] == images.train_images.shape[1] == 3
    assert (images.test_images == images.test_images[:, :1]).all()


@pytest.mark.parametrize(
    ("images", "labels", "said"),
    [
        ((80, 3, 8, 8), np.arange(80) % 4, "got 80 x 3 x 8 x 8, as if N x C x H x W: x.transpose"),
        ((0, 8, 8, 3), np.arange(0), "no train images"),
        ((80, 8, 8, 3), np.arange(80) % 4 * 10**9, "has a label 3000000000, but x_train only 80"),
    ],
)
def test_arrays_that_are_no_images_of_classes_are_refused(tmp_path, images, labels, said):
    pixels = np.zeros(images, dtype=np.uint8)
    np.savez(tmp_path / "a.npz", x_train=pixels, y_train=labels)
    with pytest.raises(UserError, match=said):
        load(tmp_path / "a.npz", holdout=0.5)
