import numpy as np
import pytest
import torch

from lord.learner import Learner
from lord.learner.conftest import digits, small

KNOWN = ("0", "1", "2", "3")


@pytest.fixture(scope="module")
def head():
    """A learner with a closed-form head over pixels. Tests must not change it."""
    learner = Learner(method="slda")
    for pair in (KNOWN[:2], KNOWN[2:]):
        learner.learn(*digits(*pair))
    return learner


def unknown(learner, images):
    return np.array([found.unknown for found in learner.predictions(images, unknown=True)])


def test_the_stated_rate_of_false_alarms_holds_on_new_images_of_known_classes(head):
    images, _ = digits(*KNOWN, train=False)
    known = len(head.known_scores())
    for rate in (0.05, 0.2):
        deviation = (rate * (1 - rate) * (1 / known + 1 / len(images))) ** 0.5
        share = (unknown(head, images) >= 1 - rate).mean()
        assert share == pytest.approx(rate, abs=3 * deviation)


def test_images_unlike_all_classes_are_found(head):
    generator = torch.Generator().manual_seed(0)
    noise = torch.randint(0, 256, (50, *head.shape), generator=generator).to(torch.uint8)
    assert (unknown(head, noise) >= 0.95).mean() > 0.9
    others, _ = digits("6", "7", train=False)
    images, _ = digits(*KNOWN, train=False)
    assert np.median(unknown(head, others)) > 0.85 > np.median(unknown(head, images))


def test_a_trained_network_is_calibrated_on_its_held_out_images():
    learner = small(epochs=1, method="er")
    learner.learn(*digits("0", "1"))
    scores = learner.known_scores()
    assert len(scores) == len(learner.held_out.columns["labels"])
    images, _ = learner.held_out.of(0)
    probabilities = torch.from_numpy(learner.predict_proba(images)).max(1).values
    assert torch.allclose(scores, -probabilities.double(), atol=1e-6)
    assert (unknown(learner, images) >= 0.9).mean() <= 0.1


def test_predictions_say_nothing_of_unknown_classes_unless_asked(head):
    images, _ = digits("5", train=False)
    assert head.predictions(images[:1])[0].unknown is None
