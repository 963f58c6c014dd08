import math

import msgspec
import pytest
import torch

import lord
from lord.bench.check import (
    CPU,
    SMALL,
    CheckReport,
    Difference,
    Finding,
    _finding,
    _growth,
    _passes,
    _resuming,
    _search,
    _training,
    check,
)
from lord.cli.main import main
from lord.config import UserError
from lord.conftest import refused
from lord.methods import METHODS
from lord.methods.er import ER


class Forgetful(ER):
    """ER that counts its steps, but does not save the number."""

    name = "forgetful"
    steps = 0

    def step(self, batch, progress):
        self.steps += 1
        scalars = super().step(batch, progress)
        with torch.no_grad():
            next(self.student.parameters()).mul_(1 + 0.01 * self.steps)
        return scalars


@pytest.fixture
def forgetful():
    lord.register(Forgetful)
    yield Forgetful.name
    del METHODS[Forgetful.name]


def test_a_cpu_agrees_with_itself():
    assert all(examine(CPU).size < 1e-3 for examine in (_passes, _growth))
    for examine in (lambda device: _resuming("lord", device), _search):
        assert _finding("lord", examine, CPU) == Finding("lord", "agrees", "the same bits")


def test_state_that_is_not_saved_is_found(forgetful):
    trained = _finding("a", lambda device: _training(forgetful, device), CPU)
    assert trained.result == "agrees"
    resumed = _finding("a", lambda device: _resuming(forgetful, device), CPU)
    assert resumed.result == "differs"


@pytest.mark.slow
def test_the_command_reports_each_check_and_writes_all_of_them(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(SMALL, "subset", 0.05)  # a third of the images
    with pytest.raises(SystemExit, match="0"):
        main(["check", "--device", "cpu", "--out", str(tmp_path / "check.json")])
    report = msgspec.json.decode((tmp_path / "check.json").read_bytes(), type=CheckReport)
    assert report.fp32_flops > 1e8
    assert report.environment["torch"] == torch.__version__
    names = [each.name for each in report.findings]
    assert {f"{kind}: {name}" for kind in ("training", "resuming") for name in METHODS} < {*names}
    output = capsys.readouterr().out
    assert "Nothing differs." in output
    assert all(name in output for name in names)


def test_each_check_is_a_finding_whatever_goes_wrong():
    def fails(device):
        raise RuntimeError("no kernel\nfor this")

    def missing(device):
        raise UserError("onnxruntime is not installed")

    assert _finding("a", fails, CPU).detail == "RuntimeError: no kernel"
    assert _finding("a", fails, CPU).result == "differs"
    assert _finding("a", missing, CPU).result == "unavailable"
    assert _finding("a", lambda device: Difference(0.03), CPU).result == "differs"
    assert _finding("a", lambda device: Difference(math.inf), CPU).result == "differs"
    assert _finding("a", lambda device: Difference(0.01), CPU).result == "agrees"


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is available")
def test_a_missing_gpu_is_named():
    with refused("device", given="cuda"):
        check("cuda")
