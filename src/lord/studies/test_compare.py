"""Comparisons with real processes, some of them killed."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from lord.config import UserError
from lord.data import load_images
from lord.evaluation import read_study
from lord.storage import locked, save_state
from lord.studies import compare, describe
from lord.studies.engines import Job
from lord.studies.engines.job import prepare
from lord.training import compose, read_yaml
from lord.training.folder import CHECKPOINT, CONFIG

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


def test_a_run_goes_on_with_as_many_threads_as_it_was_begun_with(tmp_path):
    (config,) = configs("sgd", threads=0)
    job = Job(config, tmp_path, load_images(config.data))
    prepare(job, threads=1)
    save_state({}, tmp_path / CHECKPOINT)
    prepare(job, threads=2)
    assert read_yaml(tmp_path / CONFIG)["threads"] == 1


def test_a_folder_is_one_comparisons_at_a_time(tmp_path):
    with locked(tmp_path, "comparing"), pytest.raises(UserError, match="is comparing in"):
        compare(configs("sgd"), tmp_path)


def test_a_finished_run_with_other_settings_is_neither_used_nor_overwritten(tmp_path):
    compare(configs("sgd"), tmp_path, say=lambda _: None)
    with pytest.raises(UserError, match=r"was run with lr = 0.03, now 0.2: give another --out"):
        compare(configs("sgd", lr=0.2), tmp_path)


def test_runs_on_other_images_do_not_stand_in_one_table(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (40, 8, 8), dtype=np.uint8)
    own = {"data": str(tmp_path / "a.npz"), "network": "cnn", "tasks": 1}
    for shift, methods in ((0, ["sgd"]), (1, ["sgd", "er"])):
        labels = (np.arange(40) + shift) % 2
        np.savez(tmp_path / "a.npz", x_train=pixels, y_train=labels, x_test=pixels, y_test=labels)
        if not shift:
            compare(configs(*methods, **own), tmp_path / "out", say=lambda _: None)
    with pytest.raises(UserError, match="sgd-seed0' was run on other images than there are at"):
        compare(configs("sgd", "er", **own), tmp_path / "out", say=lambda _: None)


def test_a_study_is_described_though_a_runs_environment_is_lost(tmp_path):
    own = configs("sgd")
    compare(own, tmp_path, say=lambda _: None)
    (tmp_path / "sgd-seed0" / "environment.json").unlink()
    describe(tmp_path, own, "lord compare")
    assert read_study(tmp_path).commits == []


def test_one_failed_run_is_named_and_does_not_stop_the_others(tmp_path):
    wild = compose("sgd", SMALL | {"lr": 1e30, "epochs": 9})
    with pytest.raises(UserError, match=r"1 of 2 runs failed, the first: sgd-seed0: the loss"):
        compare([wild, *configs("er")], tmp_path, jobs=2, say=lambda _: None)
    assert (tmp_path / "er-seed0" / "summary.json").exists()
    assert not (tmp_path / "sgd-seed0" / "summary.json").exists()


@pytest.fixture
def lord():
    """lord("run --epochs 1"): the command as a process; killed with all its own in the end."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # not ignored, as behind '&'
    started = []

    def start(line):
        command = [sys.executable, "-m", "lord", *line.split()]
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            command, stdout=pipe, stderr=pipe, text=True, start_new_session=True
        )
        started.append(process)
        return process

    yield start
    signal.signal(signal.SIGINT, before)
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def ended(process, seconds=120):
    """Exit code, output and error, each on one line."""
    out, error = process.communicate(timeout=seconds)
    return process.returncode, " ".join(out.split()), " ".join(error.split())


def wait_for(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.05)


def children(pid):
    lists = Path(f"/proc/{pid}/task").glob("*/children")  # one for each thread
    return [int(child) for children in lists for child in children.read_text().split()]


def test_after_ctrl_c_a_run_says_where_its_partial_results_are(lord, tmp_path):
    process = lord(f"run --epochs 300 --threads 1 --out {tmp_path / 'a'}")
    wait_for((tmp_path / "a" / "metrics.jsonl").exists)
    os.killpg(process.pid, signal.SIGINT)
    code, _, error = ended(process)
    assert code == 130
    where = f"partial results are in {tmp_path / 'a'}; --resume goes on from there"
    assert error == f"error: interrupted: {where}"


COMPARE = "compare --methods sgd,der++ --seeds 1 --width 8 --epochs 15 --threads 1 --jobs 1 --out"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_after_ctrl_c_the_same_command_goes_on_and_no_process_is_left(lord, tmp_path):
    process = lord(f"{COMPARE} {tmp_path}")
    wait_for((tmp_path / "sgd-seed0" / "summary.json").exists)
    wait_for((tmp_path / "der++-seed0" / "metrics.jsonl").exists)
    workers = children(process.pid)
    assert workers
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    code, _, error = ended(process)
    assert code == 130
    assert f"finished runs are in {tmp_path}" in error
    assert "Traceback" not in error
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))
    assert (tmp_path / "der++-seed0" / "metrics.jsonl").exists()
    assert not (tmp_path / "der++-seed0" / "summary.json").exists()
    code, out, error = ended(lord(f"{COMPARE} {tmp_path}"))
    assert code == 0, error
    assert "sgd-seed0: finished before, kept" in out


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_killed_run_is_reported_and_repeated_by_the_same_command(lord, tmp_path):
    process = lord(f"{COMPARE} {tmp_path}")
    wait_for((tmp_path / "der++-seed0" / "metrics.jsonl").exists)
    for pid in children(process.pid):
        os.kill(pid, signal.SIGKILL)
    code, _, error = ended(process)
    assert code == 2
    assert "1 of 2 runs failed" in error
    assert "der++-seed0: ended with code -9" in error
    code, out, error = ended(lord(f"{COMPARE} {tmp_path}"))
    assert code == 0, error
    assert "sgd-seed0: finished before, kept" in out


def test_runs_end_with_a_comparison_that_is_killed(lord, tmp_path):
    process = lord(f"compare --methods sgd,er --seeds 1 --width 8 --epochs 3000 --out {tmp_path}")
    wait_for(lambda: len(list(tmp_path.glob("*/metrics.jsonl"))) == 2)
    runs = children(process.pid)
    assert len(runs) == 2
    process.kill()
    process.wait()
    wait_for(lambda: not any(alive(run) for run in runs))


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
