"""The record of images that a learner was given."""

import torch

from lord.learner import Learner
from lord.learner.conftest import digits, small
from lord.learner.seen import digest_of


def test_every_image_of_a_session_is_recorded_and_held_out_ones_too(learned):
    images, labels = digits("0", "1")
    rows = learned.seen.rows(images)
    assert (rows >= 0).all()
    assert learned.seen.labels[rows].tolist() == [int(label) for label in labels]
    assert (learned.seen.rows(learned.held_out.columns["images"]) >= 0).all()
    assert learned.seen.rows(digits("2")[0]).unique().tolist() == [-1]


def test_an_image_that_comes_again_gets_its_new_class_and_session(learned):
    learner = Learner.from_state(learned.state_dict())
    before = len(learner.seen)
    images = learner.held_out.columns["images"][:1]
    more = torch.cat([images, digits("2")[0][:20]])
    learner.learn(more, ["1", *["2"] * 20])
    row = learner.seen.rows(images)
    assert (learner.seen.labels[row].item(), learner.seen.sessions[row].item()) == (1, 1)
    assert len(learner.seen) == before + 20
    assert len(learned.seen) == before


def test_the_record_is_in_the_state_from_the_begin_of_a_session(tmp_path):
    learner, (images, labels) = small(epochs=1), digits("0", "1")
    sizes = []

    def pause():
        learner.save(tmp_path / "a.safetensors")
        sizes.append(len(Learner.load(tmp_path / "a.safetensors").seen))

    learner.learn(images[:40], labels[:40], pause=pause)
    assert set(sizes) == {40}


def test_a_state_without_a_record_is_read(learned):
    state = {name: value for name, value in learned.state_dict().items() if name != "seen"}
    learner = Learner.from_state(state)
    learner.learn(*digits("2"))
    assert learner.seen.sessions.unique().tolist() == [1]


def test_the_digest_does_not_depend_on_the_order_in_memory():
    image = torch.arange(48, dtype=torch.uint8).view(3, 4, 4)
    turned = image.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    assert digest_of(image) == digest_of(turned)
    assert digest_of(image) != digest_of(image.flip(0))
