"""Heads whose classes and images changed equal heads that learned it so."""

import pytest
import torch

from lord.methods import deployable, forget_images, kept_outputs, merge_outputs, remove_output
from lord.methods.sums import Sums
from lord.methods.test_closed_form import HEADS, head, images_of, taught


def state_of(method):
    return {**vars(method.sums), **method.kept}


@pytest.mark.parametrize("name", HEADS)
def test_a_head_that_forgot_images_equals_one_that_never_learned_them(name):
    images, labels = images_of(200)
    gone = torch.arange(200) < 30
    method = taught(head(name, kept=50), (images, labels), (images[:9], labels[:9]))
    again = [*range(30), *range(9)]  # nine were learned twice
    forget_images(method, images[again], labels[again])
    wanted = taught(head(name, kept=50), (images[~gone], labels[~gone]))
    for one, other in zip(state_of(method).values(), state_of(wanted).values(), strict=True):
        assert torch.allclose(one, other, rtol=1e-12, atol=1e-9)
    torch.testing.assert_close(method.predict(images), wanted.predict(images), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", HEADS)
def test_a_head_that_forgot_everything_holds_nothing(name):
    images, labels = images_of(80)
    method = taught(head(name), (images, labels))
    forget_images(method, images, labels)
    assert not any(tensor.any() for tensor in state_of(method).values())
    assert not method.predict(images).any()


@pytest.mark.parametrize("name", HEADS)
def test_a_head_with_merged_classes_equals_one_that_learned_them_as_one(name):
    images, labels = images_of(200)
    method = taught(head(name, kept=5), (images, labels))
    merge_outputs(method, 3, 1)
    wanted = taught(head(name, kept=5), (images, torch.where(labels == 3, 1, labels)))
    for one, other in zip(state_of(method).values(), state_of(wanted).values(), strict=True):
        assert torch.allclose(one, other, rtol=1e-12, atol=1e-9)
    assert kept_outputs(method.replaced, 4) == [0, 1, 2]
    expected = wanted.predict(images)[:, :3]
    torch.testing.assert_close(deployable(method)(images), expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("name", HEADS)
def test_a_removed_class_is_not_predicted_and_leaves_only_its_share_of_the_covariance(name):
    images, labels = images_of(200)
    method = taught(head(name, kept=5), (images, labels))
    within, counts, means = method.sums.within(), method.sums.counts, method.sums.means()
    remove_output(method, 2)
    torch.testing.assert_close(method.sums.within(), within)
    assert method.sums.counts.tolist() == [*counts[:2].tolist(), 0, counts[3]]
    assert torch.equal(method.sums.means()[[0, 1, 3]], means[[0, 1, 3]])
    assert 2 not in method.kept["labels"]
    assert 2 not in method.predict(images).argmax(1)
    assert deployable(method)(images).shape == (200, 3)


@pytest.mark.parametrize("name", HEADS)
def test_images_are_forgotten_after_a_class_was_removed(name):
    images, labels = images_of(20)  # so few that the covariance is singular
    method = taught(head(name, kept=5), (images, labels))
    remove_output(method, 2)
    rest = (labels != 2).nonzero().flatten()[4:]
    forget_images(method, images[rest], labels[rest])
    assert method.predict(images).isfinite().all()
    assert method.sums.counts.sum() == 4


def test_half_of_a_symmetric_matrix_is_saved():
    sums, again = Sums(2, 5), Sums(3, 5)
    rows = torch.randint(0, 9, (40, 5)).float()
    sums.add(rows, torch.arange(40) % 2)
    state = sums.state_dict()
    assert state["half"].shape == (15,)
    again.load_state_dict(state)
    assert torch.equal(again.scatter, sums.scatter)
    sums.scatter[0, 1] += 1e-9  # the last bits are never lost
    again.load_state_dict(sums.state_dict())
    assert torch.equal(again.scatter, sums.scatter)
