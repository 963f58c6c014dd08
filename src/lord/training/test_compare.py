"""Comparisons with real processes, some of them killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lord.config import UserError
from lord.training import compare, compose

SMALL = {"epochs": 1, "width": 8, "threads": 1}


def configs(*methods, **settings):
    return [compose(m, SMALL | settings, beside=methods) for m in methods]


def test_finished_runs_are_kept_and_only_missing_ones_are_run(tmp_path):
    said = []
    compare(configs("sgd"), tmp_path, jobs=1, say=said.append)
    stamp = (tmp_path / "sgd-seed0" / "summary.json").stat().st_mtime_ns
    records = compare(configs("sgd", "er"), tmp_path, jobs=2, say=said.append)
    assert (tmp_path / "sgd-seed0" / "summary.json").stat().st_mtime_ns == stamp
    assert [record.method for record in records] == ["sgd", "er"]
    assert "sgd-seed0: finished before, kept" in said


def test_a_finished_run_with_other_settings_is_neither_used_nor_overwritten(tmp_path):
    compare(configs("sgd"), tmp_path, say=lambda _: None)
    with pytest.raises(UserError, match=r"was run with lr = 0.03, now 0.2: give another --out"):
        compare(configs("sgd", lr=0.2), tmp_path)


def test_one_failed_run_is_named_and_does_not_stop_the_others(tmp_path):
    wild = compose("sgd", SMALL | {"lr": 1e30, "epochs": 9})
    with pytest.raises(UserError, match=r"1 of 2 runs failed, the first: sgd-seed0: the loss"):
        compare([wild, *configs("er")], tmp_path, jobs=2, say=lambda _: None)
    assert (tmp_path / "er-seed0" / "summary.json").exists()
    assert not (tmp_path / "sgd-seed0" / "summary.json").exists()


@pytest.fixture(autouse=True)
def ctrl_c_is_heard():
    """A background shell has its children ignore Ctrl-C; those started here must not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def start(out, *more):
    command = [sys.executable, "-m", "lord", "compare", "--methods", "sgd,der++", "--seeds", "1"]
    command += ["--width", "8", "--epochs", "15", "--jobs", "1", "--out", str(out), *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.05)


def children(pid):
    lists = Path(f"/proc/{pid}/task").glob("*/children")  # one for each thread
    return [int(child) for children in lists for child in children.read_text().split()]


def test_after_ctrl_c_a_run_says_where_its_partial_results_are(tmp_path):
    command = [sys.executable, "-m", "lord", "run", "--epochs", "300", "--threads", "1"]
    process = subprocess.Popen(
        [*command, "--out", str(tmp_path / "a")], stderr=subprocess.PIPE, text=True
    )
    wait_for((tmp_path / "a" / "metrics.jsonl").exists)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"partial results are in {tmp_path / 'a'}" in " ".join(error.split())


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_after_ctrl_c_the_same_command_goes_on_and_no_process_is_left(tmp_path):
    process = start(tmp_path)
    wait_for((tmp_path / "sgd-seed0" / "summary.json").exists)
    wait_for((tmp_path / "der++-seed0" / "metrics.jsonl").exists)
    workers = children(process.pid)
    assert workers
    for pid in (process.pid, *workers):  # as a terminal does
        os.kill(pid, signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"finished runs are in {tmp_path}" in " ".join(error.split())
    assert "Traceback" not in error
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))
    assert (tmp_path / "der++-seed0" / "metrics.jsonl").exists()
    assert not (tmp_path / "der++-seed0" / "summary.json").exists()
    again = start(tmp_path)
    out, error = again.communicate(timeout=300)
    assert again.returncode == 0, error
    assert "sgd-seed0: finished before, kept" in out


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_killed_run_is_reported_and_repeated_by_the_same_command(tmp_path):
    process = start(tmp_path)
    wait_for((tmp_path / "der++-seed0" / "metrics.jsonl").exists)
    for pid in children(process.pid):
        os.kill(pid, signal.SIGKILL)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "1 of 1 runs failed" in error or "1 of 2 runs failed" in error
    assert "der++-seed0: ended with code -9" in " ".join(error.split())
    again = start(tmp_path)
    out, error = again.communicate(timeout=300)
    assert again.returncode == 0, error
    assert "sgd-seed0: finished before, kept" in out
