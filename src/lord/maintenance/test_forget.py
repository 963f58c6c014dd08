"""Forgotten pictures leave no trace in a learner's folder, nor in the cache of features."""

import re
import shutil

import pytest
import torch
from torch import nn

from lord.backbone import register_backbone
from lord.backbone.sources import REGISTERED
from lord.config import NothingNewError
from lord.conftest import refused
from lord.data.cache import cache_folder
from lord.learner import STATE_FILE, Learner, learn_folder
from lord.learner.conftest import digits
from lord.maintenance import forget_pictures, undo_sessions
from lord.maintenance.conftest import KINDS, NETWORK, learn, write
from lord.methods.fused import LoRDFused
from lord.storage import load_state

GONE = ("0/3.png", "0/5.png", "1/0.png", "1/7.png", "2/9.png")
"""Pictures of the first week that are forgotten."""


def pixels_of(learner, files):
    return torch.cat(list(learner._batches(files)))


def traces(learner, images):
    """Return the bytes by which images could be found: pixels, thumbnails, latents, features."""
    method = learner.method
    forms = [images, learner._given(images)]
    head = method.head if isinstance(method, LoRDFused) else method
    if isinstance(method, LoRDFused):
        forms.append(method.small(images))
    if hasattr(head, "lifted"):
        forms += [head.lifted(images).float(), head.lifted(images).double()]
    return [row.contiguous().numpy().tobytes() for form in forms for row in form]


def found(folder, sought):
    """Return how many of some bytes are in files of a folder, or in the tensors of its states."""
    content = [file.read_bytes() for file in folder.rglob("*") if file.is_file()]
    for file in folder.glob("state*.safetensors"):  # channels may be last in a file
        content += [each.contiguous().numpy().tobytes() for each in tensors(load_state(file)[0])]
    return sum(any(each in whole for whole in content) for each in sought)


def tensors(value):
    """Return all tensors in a state."""
    if isinstance(value, torch.Tensor):
        return [value]
    if not isinstance(value, dict | list | tuple):
        return []
    parts = value.values() if isinstance(value, dict) else value
    return [tensor for part in parts for tensor in tensors(part)]


def test_forgotten_pictures_are_in_no_file_and_are_not_learned_again(each, weeks, tmp_path):
    files = [weeks[0] / name for name in GONE]
    learner = Learner.load(each)
    sought = traces(learner, pixels_of(learner, files))
    assert found(each, sought) > len(GONE) // 2  # in the buffer, held out or kept
    for number, file in enumerate(files):  # whatever their names
        shutil.copy(file, (tmp_path / f"{number}.png"))
    learner, record, unknown = forget_pictures(each, [tmp_path])
    assert (record.images, record.classes) == (5, {"0": 2, "1": 2, "2": 1})
    assert record.exact == (learner.config.method == "slda")
    assert not unknown
    assert found(each, sought) == 0
    assert (learner.seen.rows(pixels_of(learner, files)) == -1).all()
    assert Learner.load(each).forgotten == [record]
    assert forget_pictures(each, files[:1]).record is None  # the second time
    with refused(None, problem=re.compile("was not learned")):
        forget_pictures(each, [write(tmp_path / "other", "5", 0)])
    assert undo_sessions(each).forgotten == [record]
    assert found(each, sought) == 0


@pytest.mark.slow  # a backbone is exported to ONNX
def test_a_head_over_a_backbone_equals_one_that_never_learned_the_pictures(tmp_path, monkeypatch):
    monkeypatch.setattr("lord.backbone.sources.REGISTERED", dict(REGISTERED))
    monkeypatch.setenv("LORD_CACHE", str(tmp_path / "cache"))  # other tests use the same digits
    network = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten())
    register_backbone("pooled", network, mean=[0.5], std=[0.5], size=16)
    week, rest = write(tmp_path / "week", "012", 0), write(tmp_path / "rest", "012", 0)
    files = [week / name for name in GONE]
    for name in GONE:
        (rest / name).unlink()
    given = {"method": "slda", "backbone": "pooled", "backbone_size": 16, "seed": 1}
    for images, state in ((week, tmp_path / "state"), (rest, tmp_path / "never")):
        learn(state, images, given)
        learn(state, write(tmp_path / f"{state.name}2", "13", 40))
    before = Learner.load(tmp_path / "state")
    sought = traces(before, pixels_of(before, files))
    assert found(cache_folder(), sought) == len(GONE)
    learner = forget_pictures(tmp_path / "state", files).learner
    assert found(cache_folder(), sought) == found(tmp_path / "state", sought) == 0
    wanted = Learner.load(tmp_path / "never")
    images = digits("0", "1", "2", "3", train=False)[0]
    assert learner.predict_proba(images) == pytest.approx(wanted.predict_proba(images), abs=1e-6)
    for name, sums in vars(wanted.method.sums).items():
        torch.testing.assert_close(vars(learner.method.sums)[name], sums, rtol=1e-12, atol=1e-9)
    assert torch.equal(learner.held_out.columns["images"], wanted.held_out.columns["images"])


def test_pictures_learned_twice_and_under_two_classes_are_forgotten_entirely(tmp_path):
    images, labels = digits("0", "1")
    learner = Learner(**KINDS["head"])
    twice = [*range(60), 0, 1, 8]
    learner.learn(images[twice], [labels[row] for row in twice])
    learner.learn(images[[*range(8), 70]], [*"22222222", labels[70]])
    (tmp_path / "state").mkdir()
    learner.save(tmp_path / "state" / STATE_FILE)
    folder = write(tmp_path / "all", "01", 0)
    learner = forget_pictures(tmp_path / "state", [folder]).learner
    left = learner.held_out.rows_to_learn(images[learner.seen.rows(images) >= 0])
    assert learner.method.sums.counts.sum() == len(left)
    assert len(learner.seen.earlier) == 0


def test_a_student_beside_a_head_forgets_thumbnails_and_kept_images(tmp_path):
    settings = NETWORK | {"method": "lord-fused", "kept": 5, "backbone": None, "student_size": 8}
    week, state = write(tmp_path / "week", "01", 0), tmp_path / "state"
    learn_folder(state, week, settings, resize=16, report=lambda _: None)
    learner, files = Learner.load(state), sorted(week.rglob("*.png"))
    small = learner.method.small(pixels_of(learner, files))
    buffered = rows_of(small, learner.method.buffer.held["images"])[:3]
    kept = rows_of(small, learner.method.head.kept["images"])
    gone = [files[row] for row in [*buffered, *kept]]
    sought = traces(learner, pixels_of(learner, gone))
    assert found(state, sought) > len(gone)
    learner = forget_pictures(state, gone).learner
    assert found(state, sought) == 0
    assert not len(learner.method.head.kept["labels"])


def rows_of(images, some):
    """Return the places of some images among all."""
    return [row for row, image in enumerate(images) if (some == image).flatten(1).all(1).any()]


def test_an_empty_folder_beside_pictures_is_listed(state, weeks, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / ".DS_Store").write_bytes(b"x")
    found = forget_pictures(state("head"), [tmp_path / "empty", weeks[0] / "0" / "0.png"])
    assert found.record.images == 1
    assert [each.reason for each in found.unknown] == ["an empty folder"]


def test_a_folder_of_forgotten_pictures_is_not_learned_again(state, weeks):
    folder = state("head")
    forget_pictures(folder, [weeks[1] / "1", weeks[1] / "3"])
    with pytest.raises(NothingNewError, match="forgotten on request"):
        learn(folder, weeks[1], again=True)
