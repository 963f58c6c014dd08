"""Runs that are stopped and resumed, and processes that are killed."""

import json
import os
import random
import re
import shutil
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from lord.config import PARENT
from lord.conftest import killed, refused, stamp
from lord.evaluation import read_failure, read_record, write_failure
from lord.methods import METHODS, moved
from lord.storage import locked, save_state
from lord.test_forked import Forked
from lord.training import compose, run
from lord.training.folder import CHECKPOINT
from lord.training.loop import Loop

SMALL = {"width": 8, "threads": 1, "epochs": 2, "subset": 0.4, "checkpoint_every": 0}
TIMES = ("wall_s", "step_s", "search_s", "recompute_s", "eval_s", "images_per_s", "peak_bytes")


class StoppedError(Exception):
    pass


def stopped_after(steps, config, out, monkeypatch):
    """Run for a number of steps, then stop as if the process was killed between steps."""
    taken, real = 0, Loop._step

    def step(self, *arguments):
        nonlocal taken
        if taken == steps:
            raise StoppedError
        taken += 1
        real(self, *arguments)

    monkeypatch.setattr(Loop, "_step", step)
    with pytest.raises(StoppedError):
        run(config, out, resume=True)
    monkeypatch.setattr(Loop, "_step", real)


def outcome(folder):
    record = json.loads((folder / "summary.json").read_text())
    weights = load_file(folder / "model.safetensors")
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    kept = {name: value for name, value in record.items() if name not in TIMES}
    names = ("classes.json", "buffer.png")
    classes = [(folder / name).read_bytes() for name in names if (folder / name).exists()]
    return kept, classes, {n: t.numpy().tobytes() for n, t in weights.items()}, lines


QUICK = ("lord", "lord-fused", "icarl", "slda")
EVERY = [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in METHODS]


@pytest.mark.parametrize("method", EVERY)
def test_a_run_stopped_twice_has_the_results_of_one_never_stopped(tmp_path, monkeypatch, method):
    own = {name: {"candidates": 8} for name in ("lord", "lord+", "lord-fused")}
    own |= {"gdumb": {"passes": 3}, "ranpac": {"projection": 64}, "er-tricks": {"fits": 3}}
    own |= {"ewc-on": {"subset": 0.1}}  # after a task, a backward pass an image
    config = compose(method, SMALL | {"subset": 0.3, "stop_after": 3} | own.get(method, {}))
    run(config, tmp_path / "whole")
    total = read_record(tmp_path / "whole").steps
    for steps in (total // 3, total // 4):
        stopped_after(steps, config, tmp_path / "parts", monkeypatch)
    assert (tmp_path / "parts" / CHECKPOINT).exists()
    run(config, tmp_path / "parts", resume=True)
    assert outcome(tmp_path / "parts") == outcome(tmp_path / "whole")
    assert not list((tmp_path / "parts").glob("checkpoint*"))


def test_other_settings_are_refused(tmp_path, monkeypatch):
    stopped_after(9, compose("er", SMALL), tmp_path, monkeypatch)
    with refused("lr"):
        run(compose("er", SMALL | {"lr": 0.2}), tmp_path, resume=True)
    with refused("threads"):  # it decides the last bits
        run(compose("er", SMALL | {"threads": 2}), tmp_path, resume=True)
    run(compose("er", SMALL | {"checkpoint_every": 7}), tmp_path, resume=True)


def test_a_finished_run_is_not_repeated(tmp_path):
    config = compose("sgd", SMALL)
    record = run(config, tmp_path)
    stamp = (tmp_path / "summary.json").stat().st_mtime_ns
    assert run(config, tmp_path, resume=True) == record
    assert (tmp_path / "summary.json").stat().st_mtime_ns == stamp


def test_a_finished_run_with_other_settings_is_refused(tmp_path):
    run(compose("sgd", SMALL), tmp_path)
    with refused("method", given="er", problem=re.compile("differs from 'sgd'")):
        run(compose("er", SMALL), tmp_path, resume=True)
    with refused("width"):
        run(compose("sgd", SMALL | {"width": 4}), tmp_path, resume=True)


def test_other_images_are_refused_when_resuming(tmp_path, monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 255, (40, 8, 8), dtype=np.uint8)
    arrays = {"x_train": pixels, "x_test": pixels, "y_test": np.arange(40) % 2}
    np.savez(tmp_path / "a.npz", y_train=np.arange(40) % 2, **arrays)
    settings = {"data": str(tmp_path / "a.npz"), "network": "cnn", "width": 8, "tasks": 1}
    config = compose("er", SMALL | settings | {"subset": 1})
    stopped_after(2, config, tmp_path / "out", monkeypatch)
    np.savez(tmp_path / "a.npz", y_train=(np.arange(40) + 1) % 2, **arrays)
    with refused("data"):
        run(config, tmp_path / "out", resume=True)


def test_a_foreign_checkpoint_is_refused_by_name(tmp_path):
    save_state({"learner": {}}, tmp_path / CHECKPOINT)
    with refused("out"):
        run(compose("er", SMALL), tmp_path, resume=True)


def test_a_users_configuration_file_is_not_replaced(tmp_path):
    (tmp_path / "config.yaml").write_text("epochs: 1  # mine\n")
    with refused("out"):
        run(compose("er", SMALL), tmp_path)
    assert "mine" in (tmp_path / "config.yaml").read_text()


def test_a_run_that_could_not_begin_may_be_repeated(tmp_path):
    write_failure(tmp_path, "no space left on device")
    run(compose("er", SMALL), tmp_path)
    assert read_failure(tmp_path) is None


def test_resuming_removes_no_file_of_the_user(tmp_path):
    (tmp_path / "model.safetensors").write_text("mine")
    with refused("out", given=tmp_path):
        run(compose("er", SMALL), tmp_path, resume=True)
    assert (tmp_path / "model.safetensors").read_text() == "mine"


def test_a_folder_holds_one_run_at_a_time(tmp_path):
    with locked(tmp_path, "running"), refused(None, problem=re.compile("another process")):
        run(compose("er", SMALL), tmp_path, overwrite=True)
    assert not (tmp_path / "config.yaml").exists()


def test_a_run_that_another_process_finished_meanwhile_is_kept(tmp_path, monkeypatch):
    monkeypatch.setenv(PARENT, str(os.getppid()))  # as in a comparison, it waits
    config, out = compose("er", SMALL | {"epochs": 1}), tmp_path / "run"
    run(config, out=tmp_path / "other")
    with ThreadPoolExecutor() as pool:
        with locked(out, "running"):
            later = pool.submit(run, config, out=out, resume=True)
            time.sleep(2)  # it has found no results, and waits for the lock
            shutil.copytree(tmp_path / "other", out, dirs_exist_ok=True)
            before = stamp(out / "summary.json")
        assert later.result() == read_record(out)
    assert stamp(out / "summary.json") == before


def test_a_state_read_to_the_cpu_moves_to_the_device_of_the_network():
    state = {"rows": [torch.zeros(2), (torch.ones(1), 3)], "name": None}
    there = moved(state, torch.device("meta"))
    assert there["rows"][0].is_meta
    assert there["rows"][1][0].is_meta
    assert (there["rows"][1][1], there["name"]) == (3, None)


def test_overwriting_removes_the_checkpoint(tmp_path, monkeypatch):
    stopped_after(9, compose("er", SMALL), tmp_path, monkeypatch)
    run(compose("er", SMALL | {"lr": 0.2}), tmp_path, overwrite=True)
    assert not list(tmp_path.glob("checkpoint*"))


def killed_and_resumed(folder, kills, source):
    """Run a command. Kill and resume it at random moments until it ends. Return the kills."""
    line = "run --method lord --set candidates=8 --width 8 --epochs 2 --subset 0.4 --threads 1"
    line += f" --checkpoint-every 0 --quiet --resume --out {folder}"
    done = 0
    while done < kills and not (folder / "summary.json").exists():
        before = stamp(folder / CHECKPOINT)
        done += killed(Forked(*line.split()), folder / CHECKPOINT, before, source)
    assert Forked(*line.split()).wait() == 0
    return done


def check_kills(tmp_path, kills, seed):
    config, source = compose("lord", SMALL | {"candidates": 8}), random.Random(seed)
    run(config, tmp_path / "whole")
    done = runs = 0
    while done < kills:
        folder, runs = tmp_path / f"parts{runs}", runs + 1
        done += killed_and_resumed(folder, kills - done, source)
        assert outcome(folder) == outcome(tmp_path / "whole")
    print(f"{done} kills in {runs} runs, each of which ended the same")


@pytest.mark.slow
def test_a_killed_run_that_is_resumed_has_the_same_results(tmp_path):
    check_kills(tmp_path, 2, seed=0)


@pytest.mark.slow
def test_many_kills_do_not_change_results(tmp_path):
    check_kills(tmp_path, int(os.environ.get("LORD_KILLS", "6")), seed=1)
