import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator

from lord.methods import calibrated
from lord.methods.test_closed_form import HEADS, SHAPE, head, images_of, taught


@pytest.mark.parametrize("name", HEADS)
@settings(max_examples=5, deadline=None)
@given(cut=st.integers(1, 199), order=st.permutations(range(2)))
def test_scores_do_not_depend_on_the_order_of_sessions(name, cut, order):
    images, labels = images_of(200)
    parts = [(images[:cut], labels[:cut]), (images[cut:], labels[cut:])]
    whole = taught(head(name), (images, labels))
    split = taught(head(name), *(parts[i] for i in order))
    new = images_of(20, seed=1)[0]
    close = {"rtol": 0, "atol": 1e-6}
    assert torch.allclose(whole.unknown_scores(new), split.unknown_scores(new), **close)
    known, again = whole.known_scores().sort().values, split.known_scores().sort().values
    assert len(known) > 5
    assert torch.allclose(known, again, **close)


def test_images_kept_are_scored_by_means_without_them():
    images, labels = images_of(200)
    method = taught(head("slda"), (images, labels))
    rows = method.is_kept(images)
    without = taught(head("slda"), (images[~rows], labels[~rows]))
    known, wanted = method.known_scores(), without.unknown_scores(images[rows])
    assert torch.allclose(known.sort().values, wanted.sort().values, rtol=0, atol=1e-6)


def test_images_that_resemble_no_class_get_higher_scores():
    method = taught(head("slda"), images_of(400))
    plain = 255 - images_of(50, seed=2)[0]  # dark where the classes are bright
    known = method.unknown_scores(images_of(200, seed=1)[0])
    assert method.unknown_scores(plain).median() > known.quantile(0.9)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), images=st.integers(19, 200))
def test_the_rate_of_false_alarms_holds_for_images_of_the_same_kind(seed, images):
    scores = torch.randn(images + 2000, generator=Generator().manual_seed(seed))
    share = float((calibrated(scores[images:], scores[:images]) >= 0.95).double().mean())
    deviation = (0.05 * 0.95 / images) ** 0.5 + (0.05 * 0.95 / 2000) ** 0.5
    assert share < 0.05 + 5 * deviation


def test_a_head_that_has_learned_nothing_gives_no_scores_of_known_images():
    method = head("ncm")
    assert method.known_scores().tolist() == []
    assert method.unknown_scores(torch.zeros(2, *SHAPE, dtype=torch.uint8)).tolist() == [0, 0]
