"""Drift: rare false alarms, changed images found, and what is no drift."""

import pytest
import torch
from PIL import Image, ImageOps

from lord.conftest import refused
from lord.learner import Learner
from lord.learner.conftest import digits
from lord.maintenance import measure_drift
from lord.maintenance.conftest import KINDS, write
from lord.maintenance.drift import Sample, compared


def sample(rows, generator, shift=0.0, classes=(0, 1, 2)):
    """Features of images of some classes, far apart; with a shift within each class."""
    labels = torch.tensor(classes).repeat(rows // len(classes) + 1)[:rows]
    features = torch.randn(rows, 6, generator=generator) + 9.0 * labels[:, None]
    features[:, 0] += shift
    return Sample([str(row) for row in range(rows)], features, labels)


def test_false_alarms_are_as_rare_as_the_p_value_says():
    generator = torch.Generator().manual_seed(0)
    found = [
        compared(sample(40, generator), sample(25, generator), "abc", source="").p
        for _ in range(60)
    ]
    # With a rate of 5 %, 9 or more of 60 come about once in 400 cases.
    assert sum(p < 0.05 for p in found) < 9
    assert 0.38 < sum(found) / len(found) < 0.62


def test_features_that_are_mostly_zero_raise_no_more_false_alarms():
    generator = torch.Generator().manual_seed(0)

    def sparse(rows):
        features = (torch.randn(rows, 300, generator=generator) - 2).relu()
        return Sample([str(row) for row in range(rows)], features, torch.arange(rows) % 2)

    found = [compared(sparse(40), sparse(16), "ab", source="").p for _ in range(30)]
    assert sum(p < 0.05 for p in found) < 6


def test_a_shift_is_found_and_grows_with_what_changed():
    generator = torch.Generator().manual_seed(0)
    held = sample(60, generator)
    small, large = (compared(held, sample(60, generator, s), "abc", source="") for s in (1.0, 4.0))
    assert max(small.p, large.p) < 0.01
    assert 0 < small.shift < large.shift < 1


def test_another_mix_of_classes_is_no_drift_and_is_told():
    generator = torch.Generator().manual_seed(0)
    new = sample(60, generator, classes=(0, 0, 0, 0, 0, 1))
    found = compared(sample(60, generator), new, "abc", source="")
    assert found.p > 0.05
    assert (found.mix[0].name, round(found.mix[0].now)) == ("a", 83)


@pytest.mark.parametrize("kind", KINDS)
def test_changed_pictures_are_found_and_named_and_unchanged_ones_are_not(made, tmp_path, kind):
    learner = Learner.load(made(kind))
    same = write(tmp_path / "same", "0123", start=100)
    assert measure_drift(learner, same).p > 0.01
    changed = write(tmp_path / "changed", "0123", start=100)
    for file in changed.glob("*/*.png"):
        ImageOps.mirror(ImageOps.invert(Image.open(file))).save(file)
    found = measure_drift(learner, changed, pictures=True)
    assert found.p < 0.01
    distances = [each.distance for each in found.moved]
    assert distances == sorted(distances, reverse=True)
    assert found.moved[0].file.startswith(str(changed))
    assert found.moved[0].picture


def test_images_that_were_given_before_are_left_out(made, weeks, tmp_path):
    learner = Learner.load(made("head"))
    with refused("folder", problem="has no image that is new to the learner"):
        measure_drift(learner, weeks[0])
    mixed = write(tmp_path / "mixed", "01", start=20)
    (mixed / "0" / "damaged.png").write_bytes(b"")
    found = measure_drift(learner, mixed)
    assert found.learned > 0
    assert found.images + found.alone + found.learned == 60
    assert len(found.unreadable) == 1
    with refused("folder", problem="does not exist"):
        measure_drift(learner, tmp_path / "gone")


def test_a_learner_without_held_out_images_says_what_is_missing(tmp_path):
    learner = Learner(method="slda")
    learner.learn(*(each[:9] for each in digits("0", "1")))
    with refused(None, problem="the learner has no held-out images to compare with"):
        measure_drift(learner, write(tmp_path / "new", "01", start=50))
