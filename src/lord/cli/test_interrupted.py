"""Sessions of a learner killed, gone on with and abandoned: real processes."""

import json
import os
import random
import time

import pytest
import torch
from PIL import Image

from lord.cli.conftest import MAKE, photos
from lord.cli.test_mistakes import check_one_line
from lord.conftest import killed, stamp
from lord.learner import STATE_FILE, Learner
from lord.learner.snapshots import snapshot
from lord.test_forked import Forked


def weeks(tmp_path):
    parts = [("0", "1"), ("2",), ("0", "2")]
    return [
        photos(tmp_path / f"week{w}", *names, start=20 * w, count=20)
        for w, names in enumerate(parts)
    ]


def session(folder, state, make=MAKE):
    line = f"learn {folder} --state {state} --checkpoint-every 0 {make}"
    return Forked(*line.split())


def tensors(state):
    return Learner.load(state).method.state_dict()  # a warning would be an error


def same(one, other):
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


def check_kills(tmp_path, kills, seed):
    folders, source = weeks(tmp_path)[::2], random.Random(seed)
    for folder in folders:
        assert session(folder, tmp_path / "whole").wait() == 0
    done = runs = 0
    while done < kills:
        parts, runs = tmp_path / f"parts{runs}", runs + 1
        for folder in folders:
            while True:
                before = stamp(parts / STATE_FILE)
                process = session(folder, parts)
                if done < kills and killed(process, parts / STATE_FILE, before, source):
                    done += 1
                    continue
                if process.wait() in (0, 3):  # 3: it had ended before it could be killed
                    break
        assert same(tensors(parts), tensors(tmp_path / "whole"))
    print(f"{done} kills in {runs} learners, each of which ended the same")


@pytest.mark.slow
def test_a_learner_killed_in_its_sessions_ends_as_if_it_was_not(tmp_path):
    check_kills(tmp_path, 1, seed=0)


@pytest.mark.slow
def test_a_learner_killed_many_times_ends_as_if_it_was_not(tmp_path):
    check_kills(tmp_path, int(os.environ.get("LORD_KILLS", "5")), seed=1)


def learn_one_and_a_half(lord, folders, state):
    """One session to its end, and one that is killed in the middle."""
    assert lord(f"learn {folders[0]} --state {state} {MAKE}")[0] == 0
    process = session(folders[1], state, "--seconds 600")
    until = time.monotonic() + 60
    while Learner.load(state).unfinished is None and time.monotonic() < until:
        time.sleep(0.02)
    process.kill()
    process.wait()


@pytest.mark.slow
def test_a_session_that_cannot_be_finished_can_be_abandoned(lord, tmp_path):
    folders, state = weeks(tmp_path), tmp_path / "state"
    learn_one_and_a_half(lord, folders, state)
    (folders[1] / "2" / "0.png").unlink()
    code, _, error = lord(f"learn {folders[1]} --state {state}")
    assert code == 2
    check_one_line(error, "or drop it with --abandon")
    code, out, error = lord(f"learn {folders[1]} --state {state} --abandon --seconds 0.1")
    assert code == 0, error
    assert "session 2: 19 images, 3 classes (2 new)" in out
    code, _, error = lord(f"learn {folders[2]} --state {state} --abandon")
    assert code == 2
    check_one_line(error, "--abandon", "no session was interrupted", f"'{state}'")


def test_a_mistake_in_abandoning_costs_nothing(lord, tmp_path):
    folders, state = weeks(tmp_path), tmp_path / "state"
    learn_one_and_a_half(lord, folders, state)
    code, _, error = lord(f"learn {tmp_path / 'nowhere'} --state {state} --abandon")
    assert (code, "no data at" in error) == (2, True)
    assert Learner.load(state).unfinished
    whole = (snapshot(state, 1)).read_bytes()
    (snapshot(state, 1)).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    code, _, error = lord(f"learn {folders[2]} --state {state} --abandon")
    assert (code, "its checksum does not match" in error) == (2, True)
    assert len(Learner.load(state).sessions) == 1
    (snapshot(state, 1)).write_bytes(whole)
    for settings, said in (
        ("--width 9", "9 differs from 8"),
        ("--set x=1", "--set x: is not"),
    ):
        code, _, error = lord(f"learn {folders[2]} --state {state} --abandon {settings}")
        assert (code, said in error) == (2, True)
    code, _, error = lord(f"learn {folders[0]} --state {state} --abandon")
    assert (code, "was learned already, in session 1" in error) == (3, True)
    colour = tmp_path / "colour"
    (colour / "9").mkdir(parents=True)
    Image.new("RGB", (8, 8), "red").save(colour / "9" / "0.png")
    code, _, error = lord(f"learn {colour} --state {state} --abandon")
    assert (code, "learned grey images" in error) == (2, True)
    assert Learner.load(state).unfinished
    (snapshot(state, 1)).unlink()
    code, _, error = lord(f"learn {folders[2]} --state {state} --abandon")
    assert (code, "is gone" in error) == (2, True)
    assert len(Learner.load(state).sessions) == 1


def test_abandoning_the_first_session_leaves_nothing_of_it(lord, tmp_path):
    one, state = photos(tmp_path / "one", "0", "1"), tmp_path / "state"
    code, _, error = lord(f"learn {one} --state {state} {MAKE} --set lr=1e30 --checkpoint-every 0")
    assert code == 2
    assert "make a new learner with a lower" in error
    code, _, error = lord(f"learn {one} --state {state} --abandon {MAKE.replace('2', '0', 1)}")
    assert (code, "--epochs: got '0'; expected an integer, at least 1" in error) == (2, True)
    lone = photos(tmp_path / "lone", "3")
    code, _, error = lord(f"learn {lone} --state {state} --abandon")
    assert (code, "at least two classes in the first session" in error) == (2, True)
    assert Learner.load(state).unfinished
    assert lord(f"learn {one} --state {state} --abandon {MAKE} --set lr=0.05")[0] == 0


def test_a_model_of_half_a_session_answers_nothing(lord, tmp_path):
    folders, state = weeks(tmp_path), tmp_path / "state"
    learn_one_and_a_half(lord, folders, state)
    assert Learner.load(state).unfinished
    code, out, error = lord(f"predict {state} {folders[1]}/2/0.png --probabilities --json")
    assert code == 0, error
    assert json.loads(out)["probabilities"].keys() == {"0", "1"}
