"""Images to label: doubtful, different from each other, and new."""

import pytest
import torch
from PIL import Image

from lord.conftest import refused
from lord.learner import Learner
from lord.maintenance import suggest_images
from lord.maintenance.conftest import KINDS, write
from lord.maintenance.suggest import choose


@pytest.mark.parametrize("kind", KINDS)
def test_the_images_suggested_are_new_and_the_reasons_are_true(made, weeks, tmp_path, kind):
    learner = Learner.load(made(kind))
    pool = write(tmp_path / "pool", "0145", start=100)
    (pool / "copy.png").write_bytes((pool / "4" / "0.png").read_bytes())
    (pool / "known.png").write_bytes((weeks[0] / "0" / "0.png").read_bytes())
    (pool / "damaged.png").write_bytes(b"no picture")
    found = suggest_images(learner, pool, 12)
    assert (found.images, found.learned, len(found.unreadable)) == (120, 1, 1)
    files = [each.file for each in found.chosen]
    assert len(set(files)) == 12
    guesses = learner.predictions(files, unknown=True, top=2)
    for each, guess in zip(found.chosen, guesses, strict=True):
        assert each.predicted == guess.label
        assert (each.reason == "unknown") == (guess.unknown >= 0.95)
        if each.reason == "uncertain":
            assert guess.top[0][1] - guess.top[1][1] < 0.5
            assert each.text.split(" %")[0].startswith(guess.label)
    assert len(suggest_images(learner, pool, 500).chosen) == 120


def test_a_head_is_asked_about_classes_that_it_does_not_know(made, tmp_path):
    pool = write(tmp_path / "pool", "0145", start=100)
    found = suggest_images(Learner.load(made("head")), pool, 20)
    new = [each.reason for each in found.chosen if each.file.split("/")[-2] in "45"]
    assert len(new) >= 15
    assert "unknown" in new


def test_images_alike_are_not_suggested_twice():
    generator = torch.Generator().manual_seed(0)
    places = torch.eye(5).repeat_interleave(8, 0)
    features = places + 0.01 * torch.randn(40, 5, generator=generator)
    doubts = torch.rand(40, generator=generator)
    chosen = choose(features, doubts, 5)
    assert sorted(row // 8 for row in chosen) == [0, 1, 2, 3, 4]
    assert doubts[chosen[0]] == doubts.max()
    rest = choose(features, doubts, 3, known=places[[0, 8]])
    assert {row // 8 for row in rest} == {2, 3, 4}


def test_a_folder_of_nothing_new_is_refused(made, weeks, tmp_path):
    learner = Learner.load(made("head"))
    with refused("folder", problem="has no image that is new to the learner"):
        suggest_images(learner, weeks[0], 5)
    (tmp_path / "empty").mkdir()
    with refused("folder", problem="has no images"):
        suggest_images(learner, tmp_path / "empty", 5)
    Image.new("L", (8, 8)).save(tmp_path / "empty" / "a.png")
    assert len(suggest_images(learner, tmp_path / "empty", 5).chosen) == 1
