"""Runs on a small machine, with one thread and 1 GiB of memory for data."""

import os
import resource
import subprocess
import sys

import pytest
import torch

from lord.data import DataConfig, load_images
from lord.evaluation import read_record

GIB = 1 << 30

pytestmark = pytest.mark.skipif(
    torch.version.cuda is not None, reason="a build of torch for GPUs takes that much by itself"
)


def run_within(limit, line, out):
    """Run a command on one thread, with a limit to its heap and anonymous mappings."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "lord", *line.split(), "--threads", "1", "--quiet", "--out", out],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit)),
    )
    assert done.returncode == 0, done.stderr
    return read_record(out)


@pytest.mark.slow
def test_the_digits_are_learned_within_one_gib(tmp_path):
    record = run_within(GIB, "run --method lord+ --epochs 3", tmp_path / "a")
    assert len(record.matrices.class_il) == 5
    assert 0 < record.peak_bytes < GIB
    assert record.state_bytes < 20e6


@pytest.mark.slow
def test_a_part_of_cifar10_is_learned_within_one_gib(cifar10, tmp_path):
    line = f"run --method lord+ --preset s-cifar10 --data {cifar10} --subset 0.02 --width 16"
    line += " --validation 0.01"  # scores 500 images, not 10,000
    load_images(DataConfig(data=str(cifar10)))  # decoded once, before
    mapped = 60_000 * 3 * 32 * 32  # counts as data, but stays on the disk
    record = run_within(GIB + mapped, f"{line} --epochs 1", tmp_path / "a")
    assert len(record.matrices.class_il) == 5
    assert 0 < record.peak_bytes < GIB


def test_the_memory_limit_has_an_effect(tmp_path):
    with pytest.raises(AssertionError, match=r"failed to map|memory|allocate"):
        run_within(GIB // 16, "run --method lord+ --epochs 1", tmp_path / "a")
