"""What is known of a learner, and the advice that follows from it."""

import msgspec
import pytest
from msgspec import structs

from lord.evaluation.inspection import Inspection, SessionFigures, Unfinished
from lord.evaluation.kept import Answer, Drift, evaluation
from lord.learner import Learner
from lord.maintenance import inspect_learner, merge_classes
from lord.maintenance.advice import advised
from lord.maintenance.conftest import KINDS, NETWORK, learn


@pytest.mark.parametrize("kind", KINDS)
def test_an_inspection_holds_what_the_learner_holds(made, kind):
    learner, state = Learner.load(made(kind)), made(kind)
    found = inspect_learner(learner, state, pictures=True)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Inspection) == found
    assert [each.images for each in found.sessions] == [90, 60, 60]
    assert found.given == [30, 60, 60, 60]
    labels = learner.held_out.columns["labels"]
    assert [each.images for each in found.held_out.classes] == labels.bincount().tolist()
    right = sum(each.right for each in found.held_out.classes)
    shares = learner.held_out_accuracy()
    sizes = learner.held_out.columns["sessions"].bincount().tolist()
    wanted = sum(share * size / 100 for share, size in zip(shares, sizes, strict=True))
    assert right == pytest.approx(wanted)
    assert (found.buffer is None) == (kind == "head")
    assert bool(found.student) == bool(found.network) == (kind != "head")
    assert found.drift is None or all(each.picture for each in found.drift.moved)
    files = sum(file.stat().st_size for file in state.rglob("*") if file.is_file())
    assert sum(part.size for part in found.disk) == files


def test_the_network_is_named_with_its_stem_only_if_that_was_chosen(tmp_path, weeks):
    for stem, named in (("random", "cnn, width 4"), ("dct", "cnn, width 4, stem dct")):
        state = tmp_path / stem
        learn(state, weeks[0], NETWORK | {"stem": stem})
        assert inspect_learner(Learner.load(state), state).network == named


def test_a_merged_class_is_counted_once(state):
    folder = state("fused")
    merge_classes(folder, "3", "2")
    found = inspect_learner(Learner.load(folder), folder)
    assert found.classes == ["0", "1", "2"]
    assert len(found.given) == len(found.held_out.classes) == len(found.buffer.classes) == 3
    assert sum(found.buffer.classes) == found.buffer.images


def inspected(**changes):
    """A learner of two classes without a fault, with changes."""
    answers = [Answer(str(n), name, name, 1.0) for name in ("cat", "dog") for n in range(10)]
    session = SessionFigures(
        number=1,
        date="",
        source="week 1",
        images=100,
        new_classes=["cat", "dog"],
        level=None,
        steps=50,
        seconds=1.0,
        flops=1,
        held_out=[100.0],
    )
    found = Inspection(
        state="memory",
        method="er",
        network="cnn, width 8",
        backbone="",
        shape=[1, 8, 8],
        classes=["cat", "dog"],
        given=[50, 50],
        sessions=[session],
        held_out=evaluation("held-out images", ["cat", "dog"], answers),
        forgetting=0.0,
    )
    return structs.replace(found, **changes)


WEAK = [Answer(str(n), "cat", "dog" if n < 6 else "cat", 1.0) for n in range(10)]
DRIFT = Drift(source="the last session", shift=0.2, p=0.01, images=9, held_out=9)
STOPPED = Unfinished(running=False, source="my photos/week 2", images=9, steps=3)
RULES = [
    ({"given": [50, 3]}, ["Few images: dog (3)."]),
    ({"held_out": None}, ["No image is held out"]),
    ({"forgetting": 12.0}, ["Earlier sessions were forgotten"]),
    ({"forgetting": 12.0, "network": "", "method": "slda"}, ["slda forgets nothing"]),
    (
        {"held_out": evaluation("", ["cat", "dog"], WEAK)},
        ["recognised least: cat (4 of 10)", "6 of 10 held-out images of cat are predicted as dog"],
    ),
    ({"drift": DRIFT}, ["The last session's images differ"]),
    ({"unfinished": STOPPED}, ["The session of 'my photos/week 2' was interrupted"]),
    ({"unfinished": structs.replace(STOPPED, running=True)}, []),
    ({}, []),
]


@pytest.mark.parametrize(("changes", "said"), RULES)
def test_each_fault_has_its_advice_and_a_sound_learner_has_none(changes, said):
    advice = advised(inspected(**changes)).advice
    assert len(advice) == len(said)
    assert all(part in each.text for part, each in zip(said, advice, strict=True))


def test_the_command_that_continues_can_be_pasted():
    advice = advised(inspected(unfinished=STOPPED, state="my memory")).advice
    assert advice[0].command == "lord learn 'my photos/week 2' --state 'my memory'"
