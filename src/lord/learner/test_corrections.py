"""Labels that are corrected, classes that were renamed, and pictures that were forgotten."""

import re
import shutil

import pytest
import torch

from lord.config import NothingNewError
from lord.conftest import refused
from lord.learner import Learner, learn_folder
from lord.learner.conftest import digits
from lord.learner.test_intake import KINDS, photos, pixels
from lord.maintenance import forget_pictures, merge_classes, rename_class


def learn(state, folder, given=KINDS["network"], **options):
    lines = []
    options = {"resize": 8, "report": lines.append, **options}
    return learn_folder(state, folder, given, **options), lines


def movable(folder, learner):
    """Return the files of pictures that are not held out."""
    held = {image.numpy().tobytes() for image in learner.held_out.columns["images"]}
    return [file for file in sorted(folder.iterdir()) if pixels(file) not in held]


def test_a_head_that_learned_a_wrong_label_ends_as_if_it_had_learned_the_right_one(tmp_path):
    folder = photos(tmp_path / "one", "a0", "b1", count=30)
    right, _ = learn(tmp_path / "right", folder, KINDS["head"])
    files = movable(folder / "a0", right)[:3]
    wrong = [file.rename(folder / "b1" / f"wrong-{file.name}") for file in files]
    learn(tmp_path / "state", folder, KINDS["head"])
    for file, old in zip(wrong, files, strict=True):
        file.rename(old)
    learner, lines = learn(tmp_path / "state", folder, {})
    assert lines[1] == "3 of them had another label; the new label replaces it"
    images = digits("0", "1", train=False)[0]
    found, wanted = (each.method.predict(images) for each in (learner, right))
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-3)
    with pytest.raises(NothingNewError):
        learn(tmp_path / "state", folder, {})


def test_a_buffer_loses_a_picture_under_its_old_label(tmp_path):
    folder, state = photos(tmp_path / "one", "a0", "b1"), tmp_path / "state"
    learner, _ = learn(state, folder)
    kept = {image.numpy().tobytes() for image in learner.method.buffer.held["images"]}
    file = next(each for each in movable(folder / "a0", learner) if pixels(each) in kept)
    image = torch.frombuffer(bytearray(pixels(file)), dtype=torch.uint8).view(1, 8, 8)
    file.rename(folder / "b1" / "moved.png")
    learner, _ = learn(state, folder)
    held = learner.method.buffer.held
    rows = (held["images"] == image).flatten(1).all(1)
    assert set(held["labels"][rows].tolist()) <= {1}
    assert learner.seen.labels[learner.seen.rows(image[None])].tolist() == [1]


def test_the_folder_of_a_renamed_class_is_not_a_new_class(tmp_path):
    folder, state = photos(tmp_path / "one", "a0", "b1"), tmp_path / "state"
    learn(state, folder)
    rename_class(state, "a0", "zero")
    with refused(None, problem="'a0' would become a new class, but is now called 'zero'"):
        learn(state, folder)
    (folder / "a0").rename(folder / "zero")
    with pytest.raises(NothingNewError):
        learn(state, folder)


def test_new_pictures_under_the_earlier_name_of_a_class_are_not_a_new_class(tmp_path):
    folder, state = photos(tmp_path / "one", "a0", "b1", "c2", "d3"), tmp_path / "state"
    learn(state, folder)
    rename_class(state, "d3", "three")
    merge_classes(state, "a0", "b1")
    more = photos(tmp_path / "two", "d3", "c2", start=12)
    problem = "'d3' would become a new class, but is now called 'three'"
    hint = "rename the folder to 'three', or set `new_classes` if it is right"
    with refused(None, problem=problem, hint=hint):
        learn(state, more)
    shutil.rmtree(more / "d3")
    more = photos(tmp_path / "two", "a0", start=12)
    with refused(None, problem="'a0' would become a new class, but is now called 'b1'"):
        learn(state, more)
    learn(state, more, new_classes=True)
    assert Learner.load(state).classes == ["b1", "c2", "three", "a0"]


def test_forgotten_pictures_are_not_learned_again(tmp_path):
    folder, state = photos(tmp_path / "one", "a0", "b1"), tmp_path / "state"
    learn(state, folder)
    forget_pictures(state, [folder / "a0" / "000.png", folder / "a0" / "001.png"])
    with pytest.raises(NothingNewError):
        learn(state, folder)
    photos(folder, "b1", start=30, count=2)
    learner, lines = learn(state, folder)
    assert lines == ["learning 2 of 26 images; 22 were learned before, 2 were forgotten on request"]
    assert len(Learner.load(state).forgotten) == len(learner.forgotten) == 1
    lone = photos(tmp_path / "two", "a0", count=2)
    with refused(None, problem=re.compile("all images of '.*two' were forgotten on request")):
        learn(state, lone)
