"""Wrong input to a run or a comparison gives an error of one line, and no results are lost."""

import re
from functools import partial

import pytest
from PIL import Image
from torch import nn

from lord.cli.main import main
from lord.config.types import Count
from lord.conftest import refused
from lord.methods import METHODS, Method, MethodConfig, register
from lord.networks import NETWORKS, SmallCNN, register_network
from lord.studies import compare
from lord.training import compose, run

SMALL = {"epochs": 1, "width": 8, "threads": 1}


def test_an_interrupted_run_names_the_setting_that_continues_it(tmp_path):
    run(compose("sgd", SMALL), str(tmp_path))  # a path may be text
    (tmp_path / "summary.json").unlink()
    with refused("out", hint=re.compile("`resume`")):
        run(compose("sgd", SMALL), tmp_path)


def test_a_run_does_not_take_the_folder_of_a_comparison(tmp_path):
    (tmp_path / "runs.jsonl").write_text("")
    with refused("out", problem="holds results", hint=re.compile("choose another `out`")):
        run(compose("sgd", SMALL), tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["runs.jsonl"]


def test_results_are_not_written_among_the_images(tmp_path):
    photos = tmp_path / "photos"
    for name in ("ant", "bee"):
        (photos / name).mkdir(parents=True)
        Image.new("L", (8, 8)).save(photos / name / "0.png")
    config = compose("sgd", SMALL | {"data": str(photos)})
    for act in (lambda: run(config, photos / "out"), lambda: compare([config], photos)):
        with refused("out"):
            act()
    assert sorted(file.name for file in photos.iterdir()) == ["ant", "bee"]


@pytest.mark.parametrize(
    ("act", "field"),
    [
        (lambda: run("lord"), "config"),
        (lambda: run(compose("sgd", SMALL), 5), "out"),
        (lambda: run(compose("sgd", SMALL), ""), "out"),
        (lambda: compare(["lord"], "out"), "configs"),
        (lambda: compare(5, "out"), "configs"),
        (lambda: compare([], "out", jobs=-1), "jobs"),
        (lambda: run(compose("sgd", SMALL), resume=True), "resume"),
        (lambda: run(compose("sgd", SMALL), "out", resume=True, overwrite=True), "resume"),
        (lambda: compose(5), "method"),
        (lambda: compose("lord", {3: 1}), "given"),
        (lambda: compose("lord", "epochs=5"), "given"),
    ],
)
def test_a_wrong_argument_is_named(act, field):
    with refused(field):
        act()


class Silent(METHODS["sgd"].method):
    name = "silent"

    def step(self, batch, progress):
        super().step(batch, progress)


class Half(Method):
    name = "half"


class Long(METHODS["sgd"].method):
    name = "long"

    def step(self, batch, progress):
        return {"loss": super().step(batch, progress)["loss"].repeat(3)}


class Blind(METHODS["sgd"].method):
    name = "blind"

    def predict(self, images):
        return super().predict(images)[:3]


class Torn(METHODS["er"].method):
    name = "torn"

    def step(self, batch, progress):
        self.buffer.offer(images=batch.images[:3], labels=batch.labels)
        return super().step(batch, progress)


class Earlier(METHODS["sgd"].method):
    name = "earlier"

    def step(self, batch):
        return {}


class Named(METHODS["sgd"].method):
    name = "named"

    class Config(MethodConfig, frozen=True):
        momentum: float = 0.9


class Wrong(METHODS["sgd"].method):
    name = "wrong"

    class Config(MethodConfig, frozen=True):
        times: Count = 0


class Dashed(METHODS["sgd"].method):
    name = "-x"


class Unset(METHODS["sgd"].method):
    name = "unset"
    Config = dict


@pytest.mark.parametrize(
    ("method", "field", "parts"),
    [
        (Silent, None, {"problem": re.compile("'silent': step returned None")}),
        (Long, None, {"problem": re.compile("'long': step returned")}),
        (Blind, "predict", {"problem": "returned (3, 10)"}),
        (Torn, "rows", {"given": {"images": 3, "labels": 32}}),
        (Named, "plugin", {"problem": re.compile("momentum")}),
        (Wrong, "times", {"given": 0, "allowed": "an integer, at least 1"}),
        (Dashed, "plugin", {"problem": re.compile("'-x'")}),
        (Half, "plugin", {"problem": re.compile("Half lacks step")}),
        (Earlier, "plugin", {"problem": "Earlier defines step(self, batch)"}),
        (Unset, "plugin", {"problem": re.compile("Unset.Config")}),
        (nn.Linear, "plugin", {"given": nn.Linear}),
        (5, "plugin", {"given": 5}),
    ],
)
def test_an_incomplete_method_is_refused(method, field, parts):
    try:
        with refused(field, **parts):
            run(compose(register(method).name, SMALL))
    finally:
        METHODS.pop(getattr(method, "name", None), None)


def test_a_network_of_this_program_cannot_be_compared_in_other_processes(tmp_path):
    register_network("here", lambda classes, width, channels: SmallCNN(classes, width, channels))
    try:
        config = compose("sgd", SMALL | {"network": "here"})
        with refused("network", given="here"):
            compare([config], tmp_path / "out")
    finally:
        NETWORKS.pop("here")
    assert not (tmp_path / "out").exists()


def test_a_preset_for_other_images_is_refused(photos):
    config = compose("sgd", SMALL | {"data": str(photos)}, preset="s-cifar10")
    with refused("preset"):
        run(config)


FAILING = """
from lord.methods import METHODS, register


@register
class Failing(METHODS["er"].method):
    name = "failing"

    def {part}(self, *given):
        return [][1]
"""


@pytest.mark.parametrize("part", ["step", "end_task", "predict"])
def test_an_error_in_a_plug_in_is_reported_with_its_line(part, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(FAILING.format(part=part))
    line = "run --method failing --plugin own.py --epochs 1 --width 8 --quiet --threads 1 --out out"
    try:
        with pytest.raises(SystemExit) as stop:
            main(line.split())
    finally:
        METHODS.pop("failing", None)
    assert stop.value.code == 1
    first, second, *_, last = capsys.readouterr().err.splitlines()
    assert first == (
        f"error: plugin '{tmp_path / 'own.py'}', line 10, in {part}: IndexError: list index out of "
        "range"
    )
    assert second.startswith("Traceback")
    assert last == "IndexError: list index out of range"


def test_a_comparison_is_not_written_into_a_runs_folder(tmp_path):
    run(compose("sgd", SMALL), tmp_path)
    with refused("out", given=tmp_path):
        compare([compose("er", SMALL)], tmp_path)


def test_a_method_that_needs_new_classes_is_refused_before_any_run_begins(tmp_path):
    config = compose("x-der-rpc", SMALL | {"scenario": "rotated"})
    other = compose("er", SMALL | {"scenario": "rotated"})
    for begin in (partial(run, config), partial(compare, [other, config])):
        with refused("method", problem=re.compile("needs new classes in each task")):
            begin(out=tmp_path)
        assert not any(tmp_path.rglob("metrics.jsonl"))
