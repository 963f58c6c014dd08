"""Runs on two processes that torchrun starts, and runs that lose a process."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from lord.config import load_plugin
from lord.evaluation import read_record
from lord.storage import load_state
from lord.training import compose, run
from lord.training.ranks import Ranks

PLAIN = """
import torch
from torch import nn
from lord.networks import register_network

class Plain(nn.Module):  # no batch-norm: nothing differs from one process
    def __init__(self, classes, width, channels):
        super().__init__()
        self.a = nn.Conv2d(channels, width, 3, padding=1)
        self.b = nn.Conv2d(width, 2 * width, 3, padding=1)
        self.head = nn.Linear(2 * width, classes)

    def forward(self, x):
        return self.head(self.b(self.a(x).relu()).relu().mean((2, 3)))

register_network("plain", Plain)
"""
STATISTICS = """
import torch
from torch import nn
from lord.training.ranks import joined, spread

with joined("cpu") as ranks:
    torch.manual_seed(0)
    network, x = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 2)), torch.randn(9, 3)
    alone = [nn.BatchNorm1d(3) for _ in range(2)]
    for layer, part in zip(alone, x.split(ranks.shares(9))):
        layer(part)
    wanted = torch.stack([layer.running_var for layer in alone]).mean(0)
    spread(network, ranks)
    out = network(x)
    assert out.shape == (9, 2)
    torch.testing.assert_close(network[0].running_var, wanted)
    out.sum().backward()
    assert network.eval()(x[:3]).shape == (3, 2)  # too few to share out
"""

LEAVING = """
from pathlib import Path
import torch
import torch.distributed as dist
from torch import nn
from lord.training.ranks import joined

with joined("cpu"):
    torch.optim.SGD(nn.Linear(2, 2).parameters(), lr=0.1)  # as every method makes one inside
    dist.all_reduce(torch.ones(3))
left = [(thread / "comm").read_text().strip() for thread in Path("/proc/self/task").iterdir()]
assert not [name for name in left if "gloo" in name], left
"""


def start(*line, processes=2, log=None):
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes)]
    command += ["--standalone", *map(str, line)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, env=environment, stdout=log, stderr=subprocess.STDOUT if log else None
    )


@given(st.integers(1, 300), st.integers(2, 8))
def test_shares_are_even_and_have_every_image_and_at_least_two(rows, world):
    shares = Ranks(0, world).shares(rows)
    assert sum(shares) == rows
    assert max(shares) - min(shares) <= 1
    assert len(shares) == 1 or (len(shares) == world and min(shares) >= 2)


def alike(tmp_path, method):
    """Run on one process and on two. Return the largest difference of a weight."""
    (tmp_path / "plain.py").write_text(PLAIN)
    line = ["-m", "lord", "run", "--method", method, "--plugin", tmp_path / "plain.py"]
    line += ["--network", "plain", "--width", 8, "--epochs", 1, "--quiet"]
    load_plugin(tmp_path / "plain.py")
    given = {"network": "plain", "width": 8, "epochs": 1, "threads": 1}
    run(compose(method, given), tmp_path / "one")
    assert start(*line, "--out", tmp_path / "two").wait() == 0
    before, after = (read_record(tmp_path / name) for name in ("one", "two"))
    assert after.matrices.task_il == before.matrices.task_il
    assert after.training_flops == pytest.approx(before.training_flops, rel=0.02)
    weights, split = (load_file(tmp_path / n / "model.safetensors") for n in ("one", "two"))
    return max((weights[name] - split[name]).abs().max().item() for name in weights)


@pytest.mark.slow
def test_two_processes_give_the_same_weights_as_one(tmp_path):
    assert alike(tmp_path, "lord:candidates=8") < 1e-4


# At a greater width, muon turns rounding into differences above 1e-3. So do two threads.
@pytest.mark.slow
@pytest.mark.parametrize(
    "method",
    ["lord+:pace=2", "er-las", "er-ace", "der++", "mean-er", "x-der-rpc", "gdumb:passes=8", "fdr"],
)
def test_two_processes_give_the_same_weights_as_one_with_every_method(tmp_path, method):
    assert alike(tmp_path, method) < 1e-3


@pytest.mark.slow
def test_a_model_with_recomputed_statistics_is_written(tmp_path):
    line = ["-m", "lord", "run", "--method", "er:statistics=recomputed", "--epochs", 1]
    assert start(*line, "--width", 8, "--quiet", "--out", tmp_path / "run").wait() == 0
    assert read_record(tmp_path / "run").statistics == "recomputed"
    assert (tmp_path / "run" / "model.safetensors").exists()


@pytest.mark.slow
def test_running_statistics_are_the_mean_over_shares(tmp_path):
    (tmp_path / "check.py").write_text(STATISTICS)
    assert start(tmp_path / "check.py").wait() == 0


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds threads by /proc")
def test_no_thread_of_a_process_group_outlives_the_run(tmp_path):
    # A thread that is left can abort the process when the interpreter exits, once in 100 runs.
    (tmp_path / "check.py").write_text(LEAVING)
    assert start(tmp_path / "check.py").wait() == 0


def errors_in(log):
    return [row for row in log.read_text().splitlines() if row.startswith("error:")]


@pytest.mark.slow
def test_a_method_that_reads_gradients_is_refused_in_one_line(tmp_path):
    with (tmp_path / "log").open("wb") as log:
        line = ("-m", "lord", "run", "--method", "si", "--epochs", 1, "--out", tmp_path / "run")
        assert start(*line, log=log).wait() != 0
    (error,) = errors_in(tmp_path / "log")
    assert error.startswith("error: --method: si cannot be split over processes")


def second_of(process):
    """Return the process id of rank 1."""
    for entry in Path("/proc").iterdir():
        try:
            if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == process.pid:
                variables = (entry / "environ").read_bytes().split(b"\0")
                if b"RANK=1" in variables:
                    return int(entry.name)
        except (OSError, ValueError, IndexError):
            continue
    return None


def kill_second(process):
    os.kill(second_of(process), signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes by /proc")
@pytest.mark.parametrize("end", [kill_second, subprocess.Popen.terminate])
def test_a_run_that_loses_a_process_reports_it_and_can_be_resumed(tmp_path, end):
    out = tmp_path / "run"
    line = ["-m", "lord", "run", "--method", "er", "--network", "cnn"]
    line += ["--width", 8, "--epochs", 40, "--quiet"]
    line += ["--checkpoint-every", 0.5, "--out", out]
    with (tmp_path / "log").open("wb") as log:
        process = start(*line, log=log)
        until = time.monotonic() + 120
        while not (out / "checkpoint.safetensors").exists() and time.monotonic() < until:
            time.sleep(0.1)
        end(process)
        assert process.wait() != 0
    errors = errors_in(tmp_path / "log")
    assert errors
    for error in errors:
        assert re.match(r"error: process [01] of 2 .*lost.* with --resume", error), error
    state, note = load_state(out / "checkpoint.safetensors")
    assert note is None
    done = state["loop"]["steps"]
    assert done > 0
    state_flops = state["loop"]["flops"]["step"]
    alone = subprocess.run([sys.executable, *map(str, line), "--resume"], check=False)
    assert alone.returncode == 0  # on one process this time
    record = read_record(out)
    share = (record.training_flops - record.recompute_flops) / record.steps
    # The first step replays nothing, so a mean over few steps is lower.
    assert state_flops / done == pytest.approx(share, rel=0.02 + 0.5 / done)
    assert torch.tensor(read_record(out).matrices.class_il[-1]).mean() > 40
