"""Sessions are taken back exactly, as far as they are kept."""

import os
import re

import pytest

from lord.conftest import refused
from lord.learner import STATE_FILE, Learner
from lord.learner.conftest import digits
from lord.learner.snapshots import OLD_NAME, snapshot, snapshots, take_snapshot
from lord.maintenance import undo_sessions
from lord.maintenance.conftest import learn
from lord.storage import previous

NCM = {"method": "ncm", "backbone": None}


def answers(folder):
    return Learner.load(folder).predict_proba(digits("0", "1", "2", "3", train=False)[0])


def interrupt(folder):
    """Leave a session in the folder that was interrupted after one step."""
    learner = Learner.load(folder)
    take_snapshot(folder, len(learner.sessions))

    def stop():
        learner.save(folder / STATE_FILE)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learner.learn(*digits("0", "1"), key="x", pause=stop)


def test_the_last_sessions_are_taken_back_and_can_be_learned_again(each, weeks):
    after = answers(each)
    before = {sessions: answers(snapshot(each, sessions)) for sessions in (1, 2)}
    assert len(undo_sessions(each).sessions) == 2
    assert (answers(each) == before[2]).all()
    learn(each, weeks[2])
    assert (answers(each) == after).all()
    learner = undo_sessions(each, 2)
    assert (answers(each) == before[1]).all()
    assert (learner.classes, len(learner.seen)) == (["0", "1", "2"], 90)
    assert not snapshots(each)
    assert not previous(each / STATE_FILE).exists()


def test_one_cannot_go_back_further_than_what_is_kept(state):
    folder = state("head")
    with refused("sessions", given=3):
        undo_sessions(folder, 3)
    snapshot(folder, 1).unlink()
    with refused("sessions", given=2, allowed="at most 1"):
        undo_sessions(folder, 2)
    with refused("sessions", given=0):
        undo_sessions(folder, 0)
    with refused(None):
        undo_sessions(folder / "none")
    assert not (folder / "none").exists()


def test_a_session_that_was_interrupted_counts_as_one(state):
    folder = state("network")
    before = answers(folder)
    interrupt(folder)
    assert Learner.load(folder).unfinished == "x"
    assert undo_sessions(folder).unfinished is None
    assert (answers(folder) == before).all()
    interrupt(folder)
    assert len(undo_sessions(folder, 2).sessions) == 2


def test_a_learner_keeps_as_many_sessions_as_its_setting_says(weeks, tmp_path):
    folder = tmp_path / "state"
    for count in range(5):
        learn(folder, weeks[0], {**NCM, "undo": 2}, again=count > 0)
    assert list(snapshots(folder)) == [3, 4]
    assert snapshot(folder, 4).samefile(previous(folder / STATE_FILE))  # not a copy
    learn(tmp_path / "none", weeks[0], {**NCM, "undo": 0})
    learn(tmp_path / "none", weeks[1])
    assert not snapshots(tmp_path / "none")


def test_what_an_earlier_version_kept_is_used(state):
    folder = state("head")
    before = answers(snapshot(folder, 2))
    snapshot(folder, 2).rename(folder / OLD_NAME)
    undo_sessions(folder)
    assert (answers(folder) == before).all()
    assert not (folder / OLD_NAME).exists()


@pytest.mark.parametrize("gone", [True, False])
def test_a_learner_without_its_checkpoint_is_not_begun_again(state, weeks, gone):
    folder = state("head")
    for file in (folder / STATE_FILE, previous(folder / STATE_FILE)):
        file.unlink(missing_ok=True) if gone else file.write_bytes(b"damaged")
    before = sorted(folder.iterdir())
    hint = re.compile(re.escape(str(snapshot(folder, 2))))
    for task in (undo_sessions, Learner.load, lambda to: learn(to, weeks[0])):
        with refused(None, hint=hint):
            task(folder)
    assert sorted(folder.iterdir()) == before


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read anything")
def test_no_earlier_session_is_offered_for_a_checkpoint_that_may_not_be_read(state):
    folder = state("head")
    (folder / STATE_FILE).chmod(0)
    with refused(None, problem=re.compile("cannot read"), hint=None):
        Learner.load(folder)


def test_nothing_is_taken_back_if_the_last_checkpoint_is_damaged(state):
    folder = state("head")
    (folder / STATE_FILE).write_bytes(b"damaged")
    before = sorted(folder.iterdir())
    hint = re.compile(re.escape(str(snapshot(folder, 2))))
    with refused(None, problem=re.compile("is damaged"), hint=hint):
        undo_sessions(folder)
    assert sorted(folder.iterdir()) == before
