"""Plug-ins: their random numbers, their source in a run's folder, and their errors."""

import random
import re

import numpy as np
import pytest
import torch

from lord.cli.main import main
from lord.config import check_unchanged, load_plugin, read_plugin, read_yaml
from lord.conftest import refused
from lord.learner import setup
from lord.methods import METHODS
from lord.training import compose, run

SMALL = {"width": 4, "network": "cnn", "subset": 0.05, "epochs": 1, "threads": 1}
MINE = """
from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import torch

from parts import SCALE
from lord.methods import METHODS, register


@dataclass
class Shift:
    value: float


@register
class Mine(METHODS["er"].method):
    name = "mine"

    def __init__(self, config, context):
        super().__init__(config, context)
        self.layer = torch.nn.Linear(10, 10)
        self.shift = Shift(np.random.rand() + random.random())

    def step(self, batch, progress):
        logits = self.layer(self.student(self.augment(batch.images))) * SCALE
        noise = self.shift.value + np.random.rand() + random.random()
        loss = torch.nn.functional.cross_entropy(logits, batch.labels) * noise
        self.optimizer.update(loss, progress)
        return {"loss": loss.detach()}
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """The file of a plug-in that imports a module beside it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "parts.py").write_text("SCALE = 2.0\n")
    yield tmp_path / "mine.py"
    METHODS.pop("mine", None)


def reseed(number):
    torch.manual_seed(number)
    np.random.seed(number)
    random.seed(number)


def test_what_a_plug_in_draws_depends_on_the_runs_seed_only(mine):
    found = []
    for number, seed in ((1, 0), (2, 0), (3, 1)):
        reseed(number)
        load_plugin(mine)
        found.append(run(compose("mine", SMALL, seed=seed)).matrices)
        drawn = torch.rand(1).item(), np.random.rand(), random.random()
        reseed(number)
        assert drawn == (torch.rand(1).item(), np.random.rand(), random.random())
    assert found[0] == found[1] != found[2]


def test_what_a_plug_in_makes_in_a_learner_depends_on_its_seed_only(mine):
    load_plugin(mine)
    config = setup.LearnerConfig(method="mine", network=compose("mine", SMALL).network)
    inputs, augment = setup.prepare(config, (1, 8, 8), normalisation=((0.5,), (0.5,)))
    weights = []
    for number in (1, 2):
        reseed(number)
        method = setup.make_method(config, inputs, 10, augment)
        weights.append(method.layer.weight)
    assert torch.equal(*weights)


def test_a_run_keeps_the_source_of_its_plug_in_and_refuses_another(mine, tmp_path, capsys):
    load_plugin(mine)
    record = run(compose("mine", SMALL), tmp_path / "out")
    hashes = read_plugin(mine).hashes
    assert list(hashes) == ["mine.py", "parts.py"]
    assert read_yaml(tmp_path / "out" / "config.yaml")["plugin"] == hashes
    assert hashes["parts.py"][:12] in record.settings["plugin"]
    assert read_plugin(tmp_path / "out" / "plugin" / "mine.py").hashes == hashes
    assert not compose("er", SMALL).plugin
    (tmp_path / "parts.py").write_text("SCALE = 3.0\n")
    load_plugin(mine)
    then, now = hashes["parts.py"][:12], read_plugin(mine).hashes["parts.py"][:12]
    with refused("plugin", problem=re.compile(f"'parts.py' .*{then} then, {now} now")):
        run(compose("mine", SMALL), tmp_path / "out", resume=True)
    with refused("plugin", problem=re.compile("'mine.py' .* none now")):
        check_unchanged(hashes, {}, tmp_path / "out")
    with pytest.raises(SystemExit) as stop:
        main(["run", "--config", "out/config.yaml", "--out", "again"])
    assert stop.value.code == 2
    copy = "out/plugin/mine.py"
    assert f"needs the plug-in 'mine.py'; set --plugin to it, such as '{copy}'" in (
        capsys.readouterr().err
    )


def test_a_package_is_a_plug_in_with_all_its_files(tmp_path):
    folder = tmp_path / "packaged_plugin"
    folder.mkdir()
    (folder / "__init__.py").write_text("from .inner import SCALE\n\nassert SCALE == 2.0\n")
    (folder / "inner.py").write_text("SCALE = 2.0\n")
    assert list(read_plugin(folder).hashes) == [
        "packaged_plugin/__init__.py",
        "packaged_plugin/inner.py",
    ]
    (folder / "inner.py").write_text("SCALE = 1.0\n")
    with refused("plugin", given=folder, problem="cannot be run: AssertionError: AssertionError"):
        load_plugin(folder)


@pytest.mark.parametrize("name", ["notes.txt", "gone.py", "."])
def test_what_is_no_plug_in_is_refused(name, tmp_path):
    (tmp_path / "notes.txt").touch()
    with refused("plugin", given=tmp_path / name):
        load_plugin(tmp_path / name)


def test_a_plug_in_that_ends_the_program_is_an_error(tmp_path, capsys):
    (tmp_path / "ends.py").write_text("import sys\n\nsys.exit(0)\n")
    with pytest.raises(SystemExit) as stop:
        main(["methods", "--plugin", str(tmp_path / "ends.py")])
    assert stop.value.code == 1
    assert "cannot be run: SystemExit: 0" in capsys.readouterr().err.splitlines()[0]


def test_an_error_while_a_plug_in_is_loaded_has_its_line_then_its_traceback(tmp_path, capsys):
    (tmp_path / "broken.py").write_text("\nx = [][1]\n")
    with pytest.raises(SystemExit) as stop:
        main(["methods", "--plugin", str(tmp_path / "broken.py")])
    first, second, *_, last = capsys.readouterr().err.splitlines()
    assert stop.value.code == 1
    assert f"(plugin '{tmp_path / 'broken.py'}', line 2, in <module>)" in first
    assert second.startswith("Traceback")
    assert last == "IndexError: list index out of range"
