"""Studies on a Ray cluster, with real workers and nodes. Some of them are killed."""

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from lord.conftest import refused
from lord.data import ImageData, cache_folder
from lord.storage import previous
from lord.studies.engines import Job
from lord.studies.engines.job import prepare
from lord.studies.engines.local import run_here
from lord.studies.engines.ray import pack, run_on_ray, write_received
from lord.studies.engines.worker import Order, run_order, unpack, versions
from lord.studies.test_compare import alive, children, ended, lord, wait_for  # noqa: F401
from lord.training import compose, run
from lord.training.config import flat
from lord.training.folder import CHECKPOINT
from lord.training.test_resume import outcome

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed")
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
STUDY = "compare --methods sgd,er --seeds 2 --width 8 --epochs 4 --threads 1"


def order(config, files, **changed):
    fields = {"name": "er-seed0", "versions": versions(), "key": None, "parcel": None}
    return Order(files=files, plugin={}, **(fields | changed))


@pytest.mark.slow
def test_a_run_that_moves_to_another_node_has_the_same_results(tmp_path):
    given = {"network": "cnn", "stop_after": 2, "epochs": 1, "checkpoint_every": 0}
    config = compose("er", SETTINGS | given)
    run(config, tmp_path / "whole")
    home = tmp_path / "home"
    prepare(Job(config, home, None), 1)
    files = {"config.yaml": (home / "config.yaml").read_bytes()}
    first = run_order(order(config, files), get=None)
    write_received(home, next(first).files)
    first.close()  # as if the worker was stopped
    assert (home / CHECKPOINT).exists()
    length = (home / "metrics.jsonl").stat().st_size if (home / "metrics.jsonl").exists() else 0
    files = {file.name: file.read_bytes() for file in home.iterdir()}
    for report in run_order(order(config, files), get=None):
        assert len(report.files.get("metrics.jsonl", b"")) >= length
        write_received(home, report.files)
    assert report.code == 0
    assert list(report.files)[-1] == "summary.json"
    for left in (CHECKPOINT, previous(home / CHECKPOINT).name, "log.txt"):
        (home / left).unlink(missing_ok=True)
    assert outcome(home) == outcome(tmp_path / "whole")


def test_a_node_with_another_version_refuses_the_run(tmp_path):
    other = order(None, {}, versions=versions() | {"torch": "1.0"})
    (report,) = run_order(other, get=None)
    assert report.code == 2
    assert "the study was started with 1.0" in report.error


@pytest.mark.slow
def test_an_error_on_a_node_is_reported_where_the_study_runs(tmp_path):
    config = compose("sgd", {"network": "cnn", "epochs": 9, "width": 8, "threads": 1, "lr": 1e30})
    prepare(Job(config, tmp_path, None), 1)
    files = {"config.yaml": (tmp_path / "config.yaml").read_bytes()}
    *_, last = run_order(order(config, files), get=None)
    assert last.code == 2
    assert "the loss became nan at step" in last.error


def test_images_reach_a_node_once_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setenv("LORD_CACHE", str(tmp_path))
    generator = torch.Generator().manual_seed(0)
    made = torch.randint(0, 256, (50, 9, 7, 3), dtype=torch.uint8, generator=generator)
    images = ImageData(
        "npz",
        "0123",
        train_images=made.permute(0, 3, 1, 2),
        train_labels=torch.arange(50) % 2,
        test_images=made[:7].permute(0, 3, 1, 2),
        test_labels=torch.arange(7) % 2,
        classes=("a", "b"),
    )
    held = []
    parcel = pack(images, lambda piece: held.append(piece.copy()) or len(held) - 1, size=1000)
    assert len(held) > 10
    fetched = []
    for _ in range(2):
        unpack(parcel, lambda place: fetched.append(place) or held[place])
    assert fetched == list(range(len(held)))
    found = np.load(cache_folder() / "0123" / "train_images.npy")
    assert np.array_equal(found, made.numpy())
    assert json.loads((tmp_path / "0123" / "notes.json").read_text())["classes"] == ["a", "b"]


def test_a_received_checkpoint_does_not_delete_the_previous_one(tmp_path):
    write_received(tmp_path, {CHECKPOINT: b"one"})
    write_received(tmp_path, {CHECKPOINT: b"two", "../metrics.jsonl": b"x"})
    assert (tmp_path / CHECKPOINT).read_bytes() == b"two"
    assert previous(tmp_path / CHECKPOINT).read_bytes() == b"one"
    assert (tmp_path / "metrics.jsonl").read_bytes() == b"x"  # never outside the folder


def test_the_address_of_a_client_is_refused():
    hint = "start the study on a node of the cluster"
    with refused("address", given="ray://a:1", allowed="HOST:PORT or auto", hint=hint):
        list(run_on_ray([], slots=1, address="ray://a:1"))


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("127.0.0.1:1", {"problem": "is not a Ray cluster: Connection refused"}),
        ("here", {"allowed": "HOST:PORT or auto"}),
        ("here:99999", {"allowed": "HOST:PORT or auto"}),
    ],
)
def test_an_address_without_a_cluster_is_refused_at_once(address, parts):
    with refused("address", given=address, **parts):
        list(run_on_ray([], slots=1, address=address))


def test_without_ray_the_error_names_the_extra_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with refused("engine", given="ray", hint="pip install 'lord-cl[ray]'"):
        list(run_on_ray([], slots=1))


def test_an_address_without_the_ray_engine_is_refused():
    with refused("address", given="auto"):
        list(run_here([], slots=1, address="auto"))


def family(pid):
    """Return all descendants of a process."""
    return [each for child in children(pid) for each in (child, *family(child))]


def command_of(pid):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return ""


def runs_of(pid):
    return [child for child in family(pid) if "lord run --resume" in command_of(child)]


def assert_same_as_single_runs(folder):
    """Compare runs of a study with the same runs outside a study."""
    for config in (compose(method, SETTINGS, seed=1) for method in ("sgd", "er")):
        one = folder / f"{config.method}-seed{config.seed}"
        run(config, folder.parent / "single" / one.name)
        assert outcome(one) == outcome(folder.parent / "single" / one.name), flat(config)


SETTINGS = {"width": 8, "epochs": 4, "threads": 1}


@pytest.mark.slow
@needs_ray
@needs_linux
def test_runs_continue_after_their_workers_are_killed(lord, tmp_path):  # noqa: F811
    out = tmp_path / "study"
    process = lord(f"{STUDY} --engine ray --jobs 2 --checkpoint-every 1 --out {out}")
    wait_for(lambda: list(out.glob("*/summary.json")), 300)
    stamps = {file: file.stat().st_mtime_ns for file in out.glob("*/summary.json")}
    wait_for(lambda: list(out.glob(f"*/{CHECKPOINT}")) and runs_of(process.pid), 300)
    victims = [pid for pid in family(process.pid) if runs_of(pid) and "ray::" in command_of(pid)]
    assert victims
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    code, _, error = ended(process, 600)
    assert code == 0, error
    assert "continuing from its last checkpoint" in error
    assert {file: file.stat().st_mtime_ns for file in stamps} == stamps
    assert not list(out.glob("*/checkpoint*"))
    assert_same_as_single_runs(out)


@pytest.mark.slow
@needs_ray
@needs_linux
def test_after_ctrl_c_no_process_is_left_and_the_study_continues(
    lord,  # noqa: F811
    tmp_path,
    monkeypatch,
):
    out, place = tmp_path / "study", tempfile.mkdtemp(prefix="lc-", dir="/tmp")
    monkeypatch.setenv("TMPDIR", place)  # other tests use Ray at the same time
    process = lord(f"{STUDY} --engine ray --jobs 2 --checkpoint-every 1 --out {out}")
    wait_for(lambda: list(out.glob(f"*/{CHECKPOINT}")), 300)
    everyone = family(process.pid)
    assert any("raylet" in command_of(pid) for pid in everyone)
    os.killpg(process.pid, signal.SIGINT)
    code, _, error = ended(process, 300)
    assert code == 130, error
    assert str(out) in error
    assert "Traceback" not in error
    wait_for(lambda: not any(alive(pid) for pid in everyone))
    assert not list(Path(place).glob("lord-r*"))
    shutil.rmtree(place)
    monkeypatch.delenv("TMPDIR")
    code, _, error = ended(lord(f"{STUDY} --jobs 2 --out {out}"), 600)  # on this machine now
    assert code == 0, error
    assert_same_as_single_runs(out)


CLUSTER = """
import sys
import tempfile
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
other = cluster.add_node(num_cpus=1)
print(cluster.address, flush=True)
for line in sys.stdin:
    cluster.remove_node(other, allow_graceful=False)
cluster.shutdown()
"""


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """A cluster of two nodes with another cache and working folder. A line to stdin kills one."""
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(16)}
    for name, value in ({"RAY_USAGE_STATS_ENABLED": "0"} | token).items():
        monkeypatch.setenv(name, value)
    environment = os.environ | {"LORD_CACHE": str(tmp_path / "nodes-cache")}
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", CLUSTER]
    process = subprocess.Popen(
        command, stdin=pipe, stdout=pipe, text=True, env=environment, cwd="/"
    )
    yield process.stdout.readline().strip(), process
    process.communicate()


@pytest.mark.slow
@needs_ray
@needs_linux
def test_nodes_get_the_images_and_runs_of_a_dead_node_continue(
    lord,  # noqa: F811
    cluster,
    tmp_path,
    monkeypatch,
    photos,
):
    address, nodes = cluster
    monkeypatch.chdir(photos.parent)  # the nodes cannot find this relative path
    out = tmp_path / "study"
    line = f"compare --methods sgd,er --seeds 2 --data {photos.name} --tasks 3 --width 8"
    line += f" --network cnn --epochs 60 --threads 1 --checkpoint-every 0.5 --out {out}"
    process = lord(f"{line} --engine ray --address {address}")
    wait_for(lambda: len(list(out.glob(f"*/{CHECKPOINT}"))) >= 2, 300)
    nodes.stdin.write("kill\n")
    nodes.stdin.flush()
    code, _, error = ended(process, 600)
    assert code == 0, error
    assert "continuing from its last checkpoint" in error
    held = list((tmp_path / "nodes-cache").glob("*/notes.json"))
    assert len(held) == 1
    line = line.replace(str(out), str(tmp_path / "local"))
    code, _, error = ended(lord(line), 600)
    assert code == 0, error
    for folder in (tmp_path / "local").glob("*-seed*"):
        assert outcome(out / folder.name) == outcome(folder)
