"""A learner measured on the images of a folder."""

import re
from collections import Counter

import numpy as np
import pytest
import torch

from lord.conftest import refused
from lord.evaluation.kept import Answer, evaluation
from lord.learner import Learner
from lord.maintenance import evaluate_images
from lord.maintenance.conftest import KINDS, write


@pytest.mark.parametrize("kind", KINDS)
def test_the_figures_are_those_of_the_predictions(made, tmp_path, kind):
    learner = Learner.load(made(kind))
    folder = write(tmp_path / "test", "0123", start=90)
    (folder / "0" / "damaged.png").write_bytes(b"no picture")
    found = evaluate_images(learner, folder, pictures=True)
    files = sorted(folder.glob("*/[0-9]*.png"))
    guesses = learner.predictions(files)
    pairs = list(zip((file.parent.name for file in files), guesses, strict=True))
    right = [label == guess.label for label, guess in pairs]
    assert (found.images, found.learned) == (len(files), 0)
    assert found.accuracy == pytest.approx(100 * sum(right) / len(right))
    counts = Counter((label, guess.label) for label, guess in pairs)
    for each in found.classes:
        assert each.right == counts[each.name, each.name]
        assert each.recall == pytest.approx(100 * each.right / each.images)
        assert each.predicted == sum(n for (_, guess), n in counts.items() if guess == each.name)
    assert {(c.label, c.predicted): c.images for c in found.confusions} == {
        pair: n for pair, n in counts.items() if pair[0] != pair[1]
    }
    confidences = [guess.confidence for label, guess in pairs if label != guess.label]
    worst = pytest.approx(sorted(confidences, reverse=True)[:20], rel=1e-4)
    assert [mistake.confidence for mistake in found.worst] == worst
    assert all(m.picture.startswith("data:image/webp;base64,") for m in found.worst)
    assert [(each.file, each.reason) for each in found.unreadable] == [
        (str(folder / "0" / "damaged.png"), "unknown format")
    ]


def test_classes_that_are_not_known_and_images_that_are_learned_are_counted_apart(
    made, weeks, tmp_path
):
    learner = Learner.load(made("head"))
    both = evaluate_images(learner, write(tmp_path / "test", "39", start=90))
    assert [(each.name, each.images) for each in both.strangers] == [("9", 30)]
    assert (both.images, both.classes[3].images) == (30, 30)
    learned = evaluate_images(learner, weeks[0])
    assert (learned.learned, learned.images, learned.accuracy_new) == (90, 90, None)
    assert evaluate_images(learner, write(tmp_path / "none", "8", start=0)).accuracy is None
    (tmp_path / "none" / "8" / "raw.nef").write_bytes(b"")
    (tmp_path / "none" / "loose.png").write_bytes(b"")
    files = {each.file for each in evaluate_images(learner, tmp_path / "none").unreadable}
    assert files == {str(tmp_path / "none" / name) for name in ("8/raw.nef", "loose.png")}
    with refused(None):
        evaluate_images(learner, tmp_path / "gone")
    with refused(None, problem=re.compile("would become a class")):
        evaluate_images(learner, tmp_path)


def test_only_the_test_split_of_a_source_is_measured(made, tmp_path):
    for split, start in (("train", 0), ("test", 90)):
        write(tmp_path / "data" / split, "01", start)
    found = evaluate_images(Learner.load(made("head")), tmp_path / "data")
    assert (found.images, found.learned) == (60, 0)


def test_a_label_that_is_no_class_is_refused(made, tmp_path):
    images, labels = np.zeros((4, 8, 8), np.uint8), np.array([0, 1, 0, 1])
    for wrong in (-1, 2):
        given = {
            "x_train": images,
            "y_train": labels,
            "x_test": images,
            "y_test": labels * 0 + wrong,
        }
        np.savez(tmp_path / "data.npz", **given)
        with refused(None, problem=re.compile(f"has the test label {wrong}")):
            evaluate_images(Learner.load(made("head")), tmp_path / "data.npz")


def test_classes_of_one_name_are_one_row():
    answers = [Answer("a", "cat", "cat", 1.0), Answer("b", "cat", "dog", 1.0)]
    found = evaluation("x", ["cat", "dog", "cat"], answers)
    assert [(each.name, each.recall) for each in found.classes] == [("cat", 50.0), ("dog", None)]


def test_features_are_what_the_last_layer_gets(made):
    for kind in KINDS:
        learner = Learner.load(made(kind))
        images, method = learner.held_out.columns["images"][:4], learner.method
        head = method.head if kind == "fused" else method
        layer = [m for m in head.predictor.modules() if isinstance(m, torch.nn.Linear)][-1]
        wanted = head.predict(images)
        found = torch.nn.functional.linear(learner.features(images), layer.weight, layer.bias)
        torch.testing.assert_close(found[:, : wanted.shape[1]], wanted)
