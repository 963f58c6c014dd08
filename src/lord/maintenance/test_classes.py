"""Classes are renamed, merged and removed alike in a head and in trained networks."""

import pytest
import torch

from lord.conftest import refused
from lord.learner import Learner, Model, load_model, save_model
from lord.learner.conftest import digits
from lord.learner.seen import digest_of
from lord.learner.snapshots import snapshot, snapshots
from lord.maintenance import merge_classes, remove_class, rename_class, undo_sessions
from lord.maintenance.conftest import learn
from lord.methods import deployable, trained_part
from lord.methods.fused import LoRDFused

IMAGES, LABELS = digits("0", "1", "2", "3", train=False)


def fused(folder):
    """Let the student count beside the head, whatever the short training gained."""
    for file in (folder, snapshot(folder, 2)):
        learner = Learner.load(file)
        if isinstance(learner.method, LoRDFused):
            learner.method.weights = (0.7, 0.5)
            learner.save(file / "state.safetensors" if file == folder else file)
    return Learner.load(folder)


def check_forms(learner, folder):
    """Check that what is deployed, and what is saved as a model, predict what the learner does."""
    wanted = learner.predict_proba(IMAGES)
    assert wanted.shape[1] == len(learner.classes)
    assert wanted.sum(1) == pytest.approx(1, abs=1e-5)
    with torch.no_grad():
        found = deployable(learner.method)(IMAGES).softmax(1)
    assert found.numpy() == pytest.approx(wanted, abs=1e-5)
    (kind, network), (mean, std) = trained_part(learner.method), learner.normalisation
    model = Model(
        network.eval(), tuple(learner.classes), learner.shape, mean, std, learner.config.network,
        kind, None, learner.method.replaced,
    )  # fmt: skip
    save_model(model, folder / "model")
    again = load_model(folder / "model")
    assert again.classes == tuple(learner.classes)
    assert again.predict(IMAGES).softmax(1).numpy() == pytest.approx(wanted, abs=1e-5)


def test_a_class_gets_another_name(each, weeks):
    before = Learner.load(each)
    learner = rename_class(each, "0", "zero")
    assert learner.classes == ["zero", "1", "2", "3"]
    assert learner.sessions[0].new_classes == ["zero", "1", "2"]
    again = Learner.load(each)
    assert (again.predict_proba(IMAGES) == before.predict_proba(IMAGES)).all()
    assert set(again.predict(IMAGES)) <= {"zero", "1", "2", "3"}
    with refused("name", given="0"):
        rename_class(each, "0", "zero")
    with refused("new", given="1"):
        rename_class(each, "zero", "1")
    assert undo_sessions(each).classes == ["zero", "1", "2", "3"]


def test_merged_classes_are_one_and_their_probabilities_add_up(each, weeks, tmp_path):
    before = fused(each)
    p = before.predict_proba(IMAGES)
    held, seen = before.held_out.labels, before.seen.labels
    merge_classes(each, "1", "3")
    learner = Learner.load(each)
    assert learner.classes == ["0", "2", "3"]
    found = learner.predict_proba(IMAGES)
    if before.config.method == "lord+":
        assert found == pytest.approx(p[:, [0, 2, 3]] + p[:, [1, 1, 1]] * [0, 0, 1], abs=1e-5)
    check_forms(learner, tmp_path)
    numbers = torch.tensor([0, 2, 1, 2])
    assert torch.equal(learner.held_out.labels, numbers[held])
    assert torch.equal(learner.seen.labels, numbers[seen.long()].int())
    assert 1 not in labels_kept(learner)
    learner = learn(each, weeks[1], again=True, new_classes=True)  # "1" is a new class again
    assert learner.classes == ["0", "2", "3", "1"]
    check_forms(learner, tmp_path)
    assert undo_sessions(each, 2).classes == ["0", "2", "3"]


def labels_kept(learner):
    """Return the labels of the rows that a method keeps."""
    method = learner.method
    head = getattr(method, "head", method) if isinstance(method, LoRDFused) else method
    rows = [head.kept["labels"]] if hasattr(head, "kept") else []
    rows += [method.buffer.held["labels"]] if method.buffer is not None else []
    return set(torch.cat(rows).tolist())


def test_a_student_beside_a_head_merges_classes_too(state, tmp_path):
    folder = state("fused")
    p = fused(folder).predict_proba(IMAGES)
    merge_classes(folder, "1", "3")
    learner = Learner.load(folder)
    check_forms(learner, tmp_path)
    assert learner.predict_proba(IMAGES) != pytest.approx(p[:, [0, 2, 3]], abs=1e-3)


def test_a_class_is_renamed_where_the_one_it_is_merged_into_came_later(state):
    folder = state("network")
    merge_classes(folder, "0", "3")
    assert Learner.load(snapshot(folder, 1)).classes == ["3", "1", "2"]
    assert Learner.load(folder).classes == ["1", "2", "3"]


def test_a_removed_class_is_never_predicted_and_leaves_no_images(each, weeks, tmp_path):
    before = fused(each)
    assert "3" in before.predict(IMAGES)
    remove_class(each, "3")
    learner = Learner.load(each)
    assert learner.classes == ["0", "1", "2"]
    assert set(learner.predict(IMAGES)) <= {"0", "1", "2"}
    check_forms(learner, tmp_path)
    assert 3 not in labels_kept(learner)
    assert len(learner.held_out.labels) == int((before.held_out.labels != 3).sum())
    assert len(learner.seen) == int((before.seen.labels != 3).sum())
    learner = learn(each, weeks[1], again=True)
    assert learner.classes == ["0", "1", "2", "3"]
    assert learner.outputs == [0, 1, 2, 4]
    assert learner.class_numbers(torch.tensor([4, 1, 2])).tolist() == [3, 1, 2]
    check_forms(learner, tmp_path)
    assert undo_sessions(each, 2).classes == ["0", "1", "2"]


def test_a_removed_class_leaves_nothing_of_held_out_images_that_changed_their_class(state):
    folder = state("head")
    learner = Learner.load(folder)
    row = int((learner.held_out.labels == 0).nonzero()[0])
    image = learner.held_out.columns["images"][row][None]
    learner.seen.add(image, torch.tensor([3]), session=2)
    learner.held_out.columns["labels"][row] = 3
    learner.save(folder / "state.safetensors")
    seen = remove_class(folder, "3").seen
    assert digest_of(image[0]) not in {bytes(each.tolist()) for each in seen.earlier}


def test_two_classes_must_be_left(state):
    folder = state("head")
    remove_class(folder, "0")
    remove_class(folder, "1")
    for change in (remove_class, lambda folder, name: merge_classes(folder, name, "3")):
        with refused("name"):
            change(folder, "2")
    with refused("into", given="2"):
        merge_classes(folder, "2", "2")
    assert Learner.load(folder).classes == ["2", "3"]


def test_a_learner_of_fewer_than_two_classes_is_not_kept_for_undo(state):
    folder = state("head")
    first = Learner.load(snapshot(folder, 1)).classes
    kept = len(snapshots(folder))
    for name in first[1:]:
        remove_class(folder, name)
    assert len(snapshots(folder)) == kept - 1
    assert all(len(Learner.load(file).classes) >= 2 for file in snapshots(folder).values())
