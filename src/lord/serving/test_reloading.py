"""Which learner answers, and who may ask."""

import asyncio
import errno
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from torch import nn

from lord.backbone import register_backbone
from lord.conftest import refused
from lord.learner import STATE_FILE, Learner
from lord.learner.snapshots import snapshot
from lord.serving.app import Service
from lord.serving.conftest import SECRET, digits, taught
from lord.serving.limits import TOKEN, Limits, check_address, read_token
from lord.serving.reloading import Current
from lord.storage import previous


def interrupted(folder, *names):
    """Leave the checkpoint of a session that has not ended."""
    learner = Learner.load(folder)

    def pause():
        learner.save(folder / STATE_FILE)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learner.learn(*digits(*names), pause=pause)


def test_the_learner_before_an_interrupted_session_is_served(tmp_path):
    learner = taught(tmp_path, "0", "1")
    learner.save(snapshot(tmp_path, 1))
    interrupted(tmp_path, "2")
    current = Current(tmp_path, lambda _: None)
    current.refresh()
    assert current.served.learner.classes == ["0", "1"]
    assert current.problem is None


def test_a_server_goes_on_looking_after_an_error_of_its_output(tmp_path, monkeypatch):
    monkeypatch.setattr("lord.serving.app.LOOK", 0.01)
    taught(tmp_path, "0", "1")
    whole, lines = (tmp_path / STATE_FILE).read_bytes(), []

    def report(line):
        lines.append(line)
        if len(lines) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")

    current = Current(tmp_path, report)
    current.refresh()
    service = Service(current, Limits(), threads=1)

    async def follow():
        task = asyncio.create_task(service.follow())
        (tmp_path / STATE_FILE).write_bytes(b"damaged")
        while current.problem is None:
            await asyncio.sleep(0.01)
        (tmp_path / STATE_FILE).write_bytes(whole)
        while current.problem is not None:
            await asyncio.sleep(0.01)
        task.cancel()

    with ThreadPoolExecutor(1) as other:  # this thread may have a loop that runs, of a browser
        other.submit(lambda: asyncio.run(asyncio.wait_for(follow(), 60))).result()
    assert len(lines) == 2


def test_nothing_is_served_before_the_first_session_has_ended(tmp_path):
    learner = Learner(network="cnn", width=4, epochs=1, method="er")

    def pause():
        learner.save(tmp_path / STATE_FILE)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learner.learn(*digits("0", "1"), pause=pause)
    current = Current(tmp_path, lambda _: None)
    current.refresh()
    assert (current.served, current.problem) == (None, None)


def test_a_closed_form_head_is_served_and_leaves_no_trace_of_what_it_is_asked(tmp_path):

    network = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten())
    register_backbone("served", network, mean=[0.5], std=[0.5], size=8)
    taught(tmp_path, "0", "1", method="slda", backbone="served")
    current = Current(tmp_path, lambda _: None)
    current.refresh()
    store = current.served.learner.backbone._store
    image = digits("7")[0][:1]
    before = store.path.stat().st_mtime_ns
    answer = current.served.answer(image, [2], [True])[0]
    assert store.path.stat().st_mtime_ns == before
    expected = Learner.load(tmp_path).predictions(image, unknown=True)[0]
    assert answer.top[0] == (expected.label, pytest.approx(expected.confidence, abs=1e-6))
    assert answer.unknown == expected.unknown


def test_a_damaged_state_is_told_once_and_the_learner_goes_on_answering(tmp_path):
    said = []
    taught(tmp_path, "0", "1")
    current = Current(tmp_path, said.append)
    current.refresh()
    served = current.served
    (tmp_path / STATE_FILE).write_bytes(b"damaged")
    for _ in range(3):
        current.refresh()
    assert (current.served, current.failures, len(said)) == (served, 1, 2)
    assert "damaged" in current.problem
    learner = taught(tmp_path / "other", "0", "1", "2")
    (tmp_path / STATE_FILE).unlink()
    learner.save(tmp_path / STATE_FILE)
    current.refresh()
    assert (current.problem, current.reloads) == (None, 1)
    assert current.served.version != served.version
    assert len(current.served.learner.classes) == 3


def test_a_damaged_state_gives_way_to_the_one_before_it_at_the_start(tmp_path):
    learner = taught(tmp_path, "0", "1")
    learner.save(tmp_path / STATE_FILE)
    assert previous(tmp_path / STATE_FILE).exists()
    (tmp_path / STATE_FILE).write_bytes(b"damaged")
    said = []
    current = Current(tmp_path, said.append)
    current.refresh()
    assert current.served.session == 1
    assert "damaged" in said[0]


def test_an_address_of_other_machines_needs_a_token():
    for host in ("0.0.0.0", "::", "192.168.1.4", "example.org", ""):
        with refused("host", problem=re.compile("no token protects it"), given=host):
            check_address(host, None)
        check_address(host, SECRET)
    for host in ("127.0.0.1", "127.8.8.8", "::1", "localhost"):
        check_address(host, None)


def test_a_token_comes_from_a_file_or_the_environment(tmp_path, monkeypatch):
    monkeypatch.delenv(TOKEN, raising=False)
    assert read_token(None) is None
    file = tmp_path / "token"
    file.write_text(f"{SECRET}\n")
    assert read_token(file) == SECRET
    monkeypatch.setenv(TOKEN, SECRET * 2)
    assert (read_token(None), read_token(file)) == (SECRET * 2, SECRET)
    for text in ("", "short", SECRET + "\x00", SECRET + " " + SECRET, SECRET + "é"):
        file.write_text(text)
        with refused(None, problem=re.compile("holds no usable token")):
            read_token(file)
    with refused("token_file", problem=re.compile("No such file")):
        read_token(tmp_path / "none")
