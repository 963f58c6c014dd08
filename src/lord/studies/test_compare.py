"""Comparisons with real processes. Some of them are killed."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from lord.config import UserError
from lord.conftest import refused
from lord.data import load_images
from lord.evaluation import read_failure, read_study, read_table, state_of
from lord.storage import locked, save_state
from lord.studies import compare, write_study
from lord.studies.engines import Job
from lord.studies.engines.forks import Forks
from lord.studies.engines.job import prepare
from lord.studies.engines.local import FORKS
from lord.test_forked import Forked
from lord.training import compose, read_yaml, run
from lord.training.folder import CHECKPOINT, CONFIG

SMALL = {"epochs": 1, "width": 8, "threads": 1}


def configs(*methods, **settings):
    return [compose(m, SMALL | settings, beside=methods) for m in methods]


def test_two_variants_of_one_name_are_refused(tmp_path):
    same = [compose(variant, SMALL) for variant in ("a=er", "a=sgd")]
    with refused("configs", problem=re.compile("called 'a'")):
        compare(same, tmp_path)


def test_finished_runs_are_kept_and_those_with_other_settings_refused(tmp_path):
    lines = []
    run(configs("sgd")[0], tmp_path / "sgd-seed0")
    stamp = (tmp_path / "sgd-seed0" / "summary.json").stat().st_mtime_ns
    records = compare(configs("sgd", "er"), tmp_path, jobs=2, report=lines.append)
    assert (tmp_path / "sgd-seed0" / "summary.json").stat().st_mtime_ns == stamp
    assert [record.method for record in records] == ["sgd", "er"]
    assert "sgd-seed0: finished before, kept" in lines
    with refused("lr", given=0.2, problem=re.compile("differs from 0.03")):
        compare(configs("sgd", lr=0.2), tmp_path)
    for folder in tmp_path.glob("*-seed0"):
        (folder / "environment.json").unlink()  # a study is described all the same
    write_study(tmp_path, configs("sgd"), "lord compare", given={"width": 8})
    study = read_study(tmp_path)
    assert study.commits == []
    assert study.given == {"width": 8}


def test_an_interrupted_run_with_other_settings_is_refused_before_any_run_starts(tmp_path):
    (config,) = configs("sgd")
    folder = tmp_path / "sgd-seed0"
    prepare(Job(config, folder, load_images(config.data)), threads=1)
    save_state({}, folder / CHECKPOINT)
    with refused("lr", given=0.2, problem=re.compile("differs from 0.03")):
        compare(configs("er", "sgd", lr=0.2), tmp_path)
    assert read_yaml(folder / CONFIG)["lr"] == 0.03
    assert not (tmp_path / "er-seed0").exists()


def test_the_table_keeps_records_whose_folders_are_gone(tmp_path):
    compare(configs("sgd"), tmp_path)
    shutil.rmtree(tmp_path / "sgd-seed0")
    compare(configs("er"), tmp_path)
    assert [record.method for record in read_table(tmp_path)] == ["sgd", "er"]


def test_a_resumed_run_keeps_its_number_of_threads(tmp_path):
    (config,) = configs("sgd", threads=0)
    job = Job(config, tmp_path, load_images(config.data))
    prepare(job, threads=1)
    save_state({}, tmp_path / CHECKPOINT)
    prepare(job, threads=2)
    assert read_yaml(tmp_path / CONFIG)["threads"] == 1


def test_two_comparisons_cannot_use_a_folder_at_the_same_time(tmp_path):
    with locked(tmp_path, "comparing"), pytest.raises(UserError, match="is comparing in"):
        compare(configs("sgd"), tmp_path)


@pytest.mark.slow
def test_a_finished_run_on_other_images_is_refused(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (40, 8, 8), dtype=np.uint8)
    settings = {"data": str(tmp_path / "a.npz"), "network": "cnn", "tasks": 1}
    for shift, methods in ((0, ["sgd"]), (1, ["sgd", "er"])):
        labels = (np.arange(40) + shift) % 2
        np.savez(tmp_path / "a.npz", x_train=pixels, y_train=labels, x_test=pixels, y_test=labels)
        if not shift:
            compare(configs(*methods, **settings), tmp_path / "out", report=lambda _: None)
    with refused("data", problem=re.compile("has changed since the run in .*sgd-seed0'")):
        compare(configs("sgd", "er", **settings), tmp_path / "out", report=lambda _: None)


def test_a_run_given_twice_is_refused(tmp_path):
    with refused("configs", problem="'er' with seed 0 is given twice"):
        compare(configs("er") * 2, tmp_path)


@pytest.mark.slow
def test_one_failed_run_is_named_and_does_not_stop_the_others(tmp_path):
    wild = compose("sgd", SMALL | {"lr": 1e30, "epochs": 9, "subset": 0.2})
    first = "1 of 2 runs failed, the first: sgd-seed0: .*loss.*; lower `lr` "
    with refused(None, problem=re.compile(first)):  # a Python caller gives no flags
        compare([wild, *configs("er")], tmp_path, jobs=2, report=lambda _: None)
    assert (tmp_path / "er-seed0" / "summary.json").exists()
    assert state_of(tmp_path / "sgd-seed0") == "failed"
    assert "the loss became" in read_failure(tmp_path / "sgd-seed0")
    compare(configs("sgd"), tmp_path, overwrite=True, report=lambda _: None)
    assert state_of(tmp_path / "sgd-seed0") == "finished"
    assert read_failure(tmp_path / "sgd-seed0") is None
    assert "| sgd | 1 |" in (tmp_path / "README.md").read_text()
    assert read_study(tmp_path).command.startswith("lord.compare in ")


@pytest.fixture
def lord():
    """lord("run --epochs 1") starts the command. Its processes are killed at the end."""
    started = []

    def start(line):
        started.append(Forked(*line.split()))
        return started[-1]

    yield start
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def ended(process, seconds=120):
    """Wait for a process; return its exit code, output and errors, each in one line."""
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


def test_after_ctrl_c_a_run_names_the_folder_of_its_partial_results(lord, tmp_path):
    process = lord(f"run --epochs 300 --threads 1 --out {tmp_path / 'a'}")
    wait_for((tmp_path / "a" / "metrics.jsonl").exists)
    os.killpg(process.pid, signal.SIGINT)
    code, _, error = ended(process)
    assert code == 130
    assert error.startswith("error: interrupted")
    assert str(tmp_path / "a") in error
    assert "--resume" in error


COMPARE = "compare --methods sgd,der++ --seeds 1 --width 8 --epochs 5 --threads 1 --jobs 1 --out"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_after_ctrl_c_no_process_is_left_and_the_same_command_continues(lord, tmp_path):
    process = lord(f"{COMPARE} {tmp_path}")
    wait_for((tmp_path / "sgd-seed0" / "summary.json").exists)
    wait_for((tmp_path / "der++-seed0" / "metrics.jsonl").exists)
    (server,) = children(process.pid)
    workers = [server, *children(server)]
    assert len(workers) == 2
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    code, _, error = ended(process)
    assert code == 130
    assert str(tmp_path) in error
    assert "Traceback" not in error
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))
    assert (tmp_path / "der++-seed0" / "metrics.jsonl").exists()
    assert not (tmp_path / "der++-seed0" / "summary.json").exists()
    code, out, error = ended(lord(f"{COMPARE} {tmp_path}"))
    assert code == 0, error
    assert "sgd-seed0: finished before, kept" in out


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_after_an_early_ctrl_c_one_line_is_printed(lord, tmp_path):
    process = lord(f"{COMPARE} {tmp_path / 'study'}")
    wait_for(lambda: children(process.pid))
    time.sleep(1)  # the server of runs has started, and imports PyTorch
    os.killpg(process.pid, signal.SIGINT)
    code, _, error = ended(process)
    assert code == 130
    assert error.count("error:") == 1
    assert "Traceback" not in error


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_killed_run_is_reported_and_repeated_by_the_same_command(lord, tmp_path):
    process = lord(f"{COMPARE} {tmp_path}")
    wait_for((tmp_path / "der++-seed0" / "metrics.jsonl").exists)
    (server,) = children(process.pid)
    (run,) = children(server)
    os.kill(run, signal.SIGKILL)
    code, _, error = ended(process)
    assert code == 2
    assert "1 of 2 runs failed" in error
    assert "der++-seed0: ended with code -9" in error
    code, out, error = ended(lord(f"{COMPARE} {tmp_path}"))
    assert code == 0, error
    assert "sgd-seed0: finished before, kept" in out


@pytest.mark.slow
def test_killing_a_comparison_ends_its_runs(lord, tmp_path):
    process = lord(f"compare --methods sgd,er --seeds 1 --width 8 --epochs 3000 --out {tmp_path}")
    wait_for(lambda: len(list(tmp_path.glob("*/metrics.jsonl"))) == 2)
    (server,) = children(process.pid)
    runs = children(server)
    assert len(runs) == 2
    process.kill()
    process.wait()
    wait_for(lambda: not any(alive(run) for run in (server, *runs)))


@pytest.mark.slow
@pytest.mark.skipif(not FORKS, reason="runs are not forked here")
def test_a_killed_server_ends_its_runs_and_the_next_run_has_a_new_one(tmp_path):
    forks = Forks()
    endless = ["run", "--epochs", "3000", "--width", "8", "--threads", "1", "--checkpoint-every"]
    run = forks.start([*endless, "0", "--out", str(tmp_path / "a")], tmp_path / "a.txt", {})
    wait_for((tmp_path / "a" / "metrics.jsonl").exists)
    assert run.poll() is None
    os.kill(int(status(run.pid)[1]), signal.SIGKILL)
    assert run.wait(60) == -signal.SIGKILL
    wait_for(lambda: not alive(run.pid))
    assert "interrupted: partial results" in (tmp_path / "a.txt").read_text()
    again = forks.start(["methods", "er"], tmp_path / "b.txt", {})
    with pytest.raises(subprocess.TimeoutExpired):
        again.wait(0.01)
    assert again.wait(60) == 0
    assert "er: " in (tmp_path / "b.txt").read_text()
    forks.close()


def status(pid):
    """State and parent of a process."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]


def alive(pid):
    try:
        return status(pid)[0] != "Z"
    except OSError:
        return False
