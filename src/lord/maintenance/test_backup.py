"""A plain copy of a learner's folder is a backup, and opens elsewhere."""

import shutil
import subprocess
import threading

import pytest
import torch

from lord.learner import Learner
from lord.learner.conftest import digits
from lord.maintenance import undo_sessions
from lord.maintenance.conftest import learn

IMAGES = digits("0", "1", "2", "3", train=False)[0]


@pytest.mark.slow  # learning and copying at the same time
def test_a_copy_that_is_taken_while_a_session_writes_opens(state, weeks, tmp_path):
    folder, ended, copies = state("network"), threading.Event(), []

    def copy():
        while not ended.is_set() and len(copies) < 6:
            copies.append(tmp_path / f"copy{len(copies)}")
            # A temporary file may be gone before it is copied. All others must be copied.
            done = subprocess.run(
                ["cp", "-r", folder, copies[-1]], capture_output=True, text=True, check=False
            )
            lost = [line for line in done.stderr.splitlines() if "/.state" not in line]
            assert not [line for line in lost if "lock" not in line], lost

    copying = threading.Thread(target=copy)
    copying.start()
    try:
        learn(folder, weeks[1], again=True, every=0)
    finally:
        ended.set()
        copying.join()
    assert len(copies) > 1
    before = 0
    for each in copies:  # a warning, as for a damaged file, would be an error
        learner = Learner.load(each)
        done = len(learner.sessions) + (learner.unfinished is not None)
        assert done >= before >= 0
        before = done
    learn(copies[0], weeks[1], again=True)
    assert len(undo_sessions(copies[0]).sessions) == 3


def test_a_learner_moves_to_a_machine_with_other_threads(state, tmp_path):
    elsewhere = shutil.move(state("network"), tmp_path / "elsewhere")
    wanted, before = Learner.load(elsewhere).predict_proba(IMAGES), torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        assert Learner.load(elsewhere).predict_proba(IMAGES) == pytest.approx(wanted, abs=1e-5)
    finally:
        torch.set_num_threads(before)
