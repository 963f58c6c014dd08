"""Each layout gives the same images, and errors name the cause."""

import io
import json
import os
import pickle
import re
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from lord.conftest import refused
from lord.data import DataConfig, load_images, load_readable
from lord.data.cache import cache_folder


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LORD_CACHE", str(tmp_path / "cache"))


def load(path, **settings):
    return load_images(DataConfig(data=str(path), **settings))


def png(image):
    buffer = io.BytesIO()
    Image.fromarray(image.squeeze()).save(buffer, "png")
    return buffer.getvalue()


def write_parquet(folder, split, images, labels, *, column="img", names=("a", "b", "c")):
    folder.mkdir(exist_ok=True)
    table = pa.table({column: [{"bytes": png(i), "path": None} for i in images], "label": labels})
    features = {"info": {"features": {"label": {"names": list(names), "_type": "ClassLabel"}}}}
    table = table.replace_schema_metadata({"huggingface": json.dumps(features)})
    pq.write_table(table, folder / f"{split}-00000-of-00001.parquet")


def write_cifar10(folder, images, labels):
    folder.mkdir(parents=True)
    flat = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    for place, name in enumerate([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]):
        rows = slice(place * 4, place * 4 + 4)
        batch = {b"data": flat[rows], b"labels": labels[rows]}
        (folder / name).write_bytes(pickle.dumps(batch, protocol=2))
    (folder / "batches.meta").write_bytes(pickle.dumps({b"label_names": [b"a", b"b", b"c"]}))


def test_the_digits_come_with_the_package():
    digits = load_images(DataConfig())
    assert digits.train_images.shape == (1442, 1, 8, 8)
    assert digits.test_images.shape == (355, 1, 8, 8)
    assert digits.classes == tuple("0123456789")
    assert digits.train_labels.bincount().min() > 130


def test_an_image_folder_gives_pixels_labels_and_names(photos, pixels):
    data = load(photos)
    assert data.kind == "image folder"
    assert data.classes == ("ant", "bee", "cat")
    ants = data.train_images[data.train_labels == 0].permute(0, 2, 3, 1).numpy()
    assert np.array_equal(ants, pixels[[i for i in range(24) if i % 3 == 0 and i % 4 != 3]])


@pytest.mark.parametrize("column", ["img", "image"])
def test_parquet_gives_pixels_labels_and_names(tmp_path, pixels, column):
    labels = [i % 3 for i in range(24)]
    write_parquet(tmp_path / "p", "train", pixels, labels, column=column)
    write_parquet(tmp_path / "p", "valid", pixels[:6], labels[:6], column=column)
    data = load(tmp_path / "p")
    assert (data.kind, data.classes) == ("parquet", ("a", "b", "c"))
    assert np.array_equal(data.train_images.permute(0, 2, 3, 1), pixels)
    assert data.test_labels.tolist() == labels[:6]


@pytest.mark.parametrize("packed", [False, True])
def test_the_cifar_archive_gives_pixels_labels_and_names(tmp_path, packed):
    images = np.random.default_rng(0).integers(0, 256, (24, 32, 32, 3), dtype=np.uint8)
    path = tmp_path / "cifar-10-batches-py"
    write_cifar10(path, images, [i % 3 for i in range(24)])
    if packed:
        with tarfile.open(tmp_path / "cifar-10-python.tar.gz", "w:gz") as archive:
            archive.add(path, path.name)
        path = tmp_path / "cifar-10-python.tar.gz"
    data = load(path)
    assert data.classes == ("a", "b", "c")
    assert np.array_equal(data.train_images.permute(0, 2, 3, 1), images[:20])
    assert np.array_equal(data.test_images.permute(0, 2, 3, 1), images[20:])


def test_a_hostile_pickle_is_refused_and_not_executed(tmp_path):
    images = np.zeros((24, 32, 32, 3), dtype=np.uint8)
    path = tmp_path / "cifar-10-batches-py"
    write_cifar10(path, images, [i % 3 for i in range(24)])

    class Attack:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "attacked"),)

    (path / "data_batch_3").write_bytes(pickle.dumps({b"data": Attack()}))
    with refused(None, problem=re.compile("'data_batch_3' .* 'posix.mkdir' is not allowed")):
        load(path)
    assert not (tmp_path / "attacked").exists()


def test_a_cifar_archive_without_class_names_is_refused(tmp_path):
    path = tmp_path / "cifar-10-batches-py"
    write_cifar10(path, np.zeros((24, 32, 32, 3), dtype=np.uint8), [i % 3 for i in range(24)])
    (path / "batches.meta").write_bytes(pickle.dumps({}))
    with refused(None, problem=re.compile("'batches.meta' .* it has no class names")):
        load(path)


def test_the_tiny_imagenet_folder_gives_pixels_and_labels(tmp_path, pixels):
    root, names = tmp_path / "tiny", ["n01", "n02"]
    (root / "val" / "images").mkdir(parents=True)
    (root / "wnids.txt").write_text("n02\nn01\n")
    for label, name in enumerate(names):
        (root / "train" / name / "images").mkdir(parents=True)
        for row in range(3):
            file = root / "train" / name / "images" / f"{name}_{row}.JPEG"
            Image.fromarray(pixels[3 * label + row]).save(file, "png")
    lines = []
    for row in range(4):
        Image.fromarray(pixels[10 + row]).save(root / "val" / "images" / f"val_{row}.JPEG", "png")
        lines.append(f"val_{row}.JPEG\t{names[row % 2]}\t0\t0\t1\t1")
    (root / "val" / "val_annotations.txt").write_text("\n".join(lines))
    data = load(root)
    assert (data.kind, data.classes) == ("Tiny-ImageNet folder", ("n01", "n02"))
    assert np.array_equal(data.train_images.permute(0, 2, 3, 1), pixels[:6])
    assert data.test_labels.tolist() == [0, 1, 0, 1]


def test_npz_gives_pixels_and_labels(tmp_path, pixels):
    labels = np.arange(24) % 3
    np.savez(
        tmp_path / "a.npz", x_train=pixels, y_train=labels, x_test=pixels[:6], y_test=labels[:6]
    )
    data = load(tmp_path / "a.npz")
    assert np.array_equal(data.train_images.permute(0, 2, 3, 1), pixels)
    assert data.classes == ("0", "1", "2")


def test_accents_of_class_names_have_one_form(tmp_path, pixels):
    labels, names = np.arange(len(pixels)) % 2, np.array(["e\u0301clair", "pie"])
    np.savez(tmp_path / "a.npz", x_train=pixels, y_train=labels, class_names=names)
    assert set(load_readable(tmp_path / "a.npz", None).labels) == {"\u00e9clair", "pie"}


def test_a_holdout_takes_the_same_share_of_each_class(photos):
    data = load(photos / "train", holdout=0.5)
    assert data.train_labels.bincount().tolist() == data.test_labels.bincount().tolist() == [3] * 3


def test_grey_images_among_colour_images_get_three_channels(photos):
    Image.fromarray(np.full((8, 8), 7, np.uint8)).save(photos / "train" / "ant" / "00.png")
    data = load(photos)
    assert data.shape == (3, 8, 8)
    assert (data.train_images[0] == 7).all()


def test_decoded_images_are_reused_until_their_files_change(photos):
    first = load(photos)
    stamp = (cache_folder() / first.key / "train_images.npy").stat().st_mtime_ns
    assert load(photos).key == first.key
    assert (cache_folder() / first.key / "train_images.npy").stat().st_mtime_ns == stamp
    Image.fromarray(np.full((8, 8, 3), 9, np.uint8)).save(photos / "train" / "ant" / "00.png")
    second = load(photos)
    assert second.key != first.key
    assert (second.train_images[0] == 9).all()


def test_writing_to_loaded_images_does_not_change_the_cache(photos):
    load(photos).train_images.zero_()
    assert load(photos).train_images.float().mean() > 100


def test_images_are_loaded_even_if_the_cache_cannot_be_written(photos, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LORD_CACHE", str(tmp_path / "file" / "cache"))
    assert len(load(photos).train_labels) == 18


def test_no_temporary_folders_remain_in_the_cache(photos):
    load(photos)
    assert not list(cache_folder().glob(".draft-*"))


def test_images_of_different_sizes_are_refused_unless_resized(photos):
    Image.fromarray(np.zeros((9, 8, 3), np.uint8)).save(photos / "train" / "bee" / "big.png")
    problem = re.compile("big.png' has 9 x 8 pixels, .* has 8 x 8")
    with refused(None, problem=problem, hint="set `resize`"):
        load(photos)
    assert load(photos, resize=16).shape == (3, 16, 16)


def broken_image(photos):
    (photos / "train" / "bee" / "01.png").write_bytes(b"not a picture")


def cut_image(photos):
    file = photos / "train" / "bee" / "01.png"
    file.write_bytes(file.read_bytes()[:60])


@pytest.mark.parametrize("spoil", [broken_image, cut_image])
def test_a_damaged_image_is_named(photos, spoil):
    spoil(photos)
    with refused(None, problem=re.compile("bee/01.png")):
        load(photos)


def test_missing_empty_and_unknown_paths_are_refused(tmp_path, photos):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("")
    for path, parts in [
        (tmp_path / "gone", {"problem": re.compile("no such file or folder")}),
        (tmp_path / "empty", {"problem": re.compile("the folder is empty")}),
        (tmp_path / "notes", {"allowed": re.compile("parquet files")}),
        (photos / "train", {"hint": re.compile("set `holdout`")}),
        (photos / "train" / "ant", {"hint": re.compile("each class into a folder")}),
    ]:
        with refused(None, **parts):
            load(path)


def test_a_holdout_that_takes_no_image_is_refused(photos):
    with refused("holdout", given=0.01, hint="set a larger share"):
        load(photos / "train", holdout=0.01)


def test_a_holdout_of_data_with_a_test_split_is_refused(photos):
    with refused("holdout", given=0.5, hint="leave it out"):
        load(photos, holdout=0.5)


def test_a_folder_named_train_may_be_a_class(tmp_path, pixels):
    picture = png(pixels[0])
    for name in ("car", "train"):
        (tmp_path / "vehicles" / name).mkdir(parents=True)
        for number in range(4):
            (tmp_path / "vehicles" / name / f"{number}.png").write_bytes(picture)
    assert load(tmp_path / "vehicles", holdout=0.5).classes == ("car", "train")
    (tmp_path / "vehicles" / "train" / "steam").mkdir()
    (tmp_path / "vehicles" / "train" / "steam" / "0.png").write_bytes(picture)
    with refused(None, hint=re.compile("move 'car' into 'train'")):
        load(tmp_path / "vehicles", holdout=0.5)


def test_a_single_class_is_refused(photos):
    for name in ("ant", "bee"):
        for split in ("train", "test"):
            for file in (photos / split / name).iterdir():
                file.unlink()
            (photos / split / name).rmdir()
    with refused(None, problem=re.compile("too few classes: cat"), allowed="at least two"):
        load(photos)


def test_a_pickled_npz_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", x_train=np.array([{}], dtype=object), y_train=np.zeros(1, int))
    with refused(None, problem=re.compile("cannot read .*a.npz")):
        load(tmp_path / "a.npz")


def test_labels_beyond_the_class_names_are_refused(tmp_path, pixels):
    write_parquet(tmp_path / "p", "train", pixels, [i % 4 for i in range(24)])
    write_parquet(tmp_path / "p", "test", pixels, [i % 3 for i in range(24)])
    with refused(None, problem=re.compile("train label 3"), allowed="labels from 0 to 2"):
        load(tmp_path / "p")


@pytest.mark.slow
def test_the_real_cifar10_is_read(cifar10):
    data = load(cifar10)
    assert data.train_images.shape == (50_000, 3, 32, 32)
    assert data.test_labels.bincount().tolist() == [1000] * 10
    assert data.classes[:2] == ("airplane", "automobile")
