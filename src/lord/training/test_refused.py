"""What a run or a comparison is given and cannot use: one line each, and nothing is lost."""

import pytest
from PIL import Image
from torch import nn

from lord.cli.main import main
from lord.config import UserError
from lord.config.types import Count
from lord.methods import METHODS, Method, MethodConfig, register
from lord.networks import NETWORKS, SmallCNN, register_network
from lord.studies import compare
from lord.training import compose, run

SMALL = {"epochs": 1, "width": 8, "threads": 1}


def test_an_interrupted_run_names_the_flag_that_goes_on_with_it(tmp_path):
    run(compose("sgd", SMALL), str(tmp_path))  # a path may be text
    (tmp_path / "summary.json").unlink()
    with pytest.raises(UserError, match="a run that has not ended: --resume goes on with it"):
        run(compose("sgd", SMALL), tmp_path)


def test_results_do_not_come_to_lie_among_the_images(tmp_path):
    photos = tmp_path / "photos"
    for name in ("ant", "bee"):
        (photos / name).mkdir(parents=True)
        Image.new("L", (8, 8)).save(photos / name / "0.png")
    config = compose("sgd", SMALL | {"data": str(photos)})
    for act in (lambda: run(config, photos / "out"), lambda: compare([config], photos)):
        with pytest.raises(UserError, match="is in the folder of the images: give another"):
            act()
    assert sorted(own.name for own in photos.iterdir()) == ["ant", "bee"]


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (lambda: run("lord"), "config: expected what lord.compose gives, got 'lord'"),
        (lambda: run(compose("sgd", SMALL), 5), "out: expected a path, got 5"),
        (lambda: run(compose("sgd", SMALL), ""), "out: expected a path, got nothing"),
        (lambda: compare(["lord"], "out"), "configs: expected what lord.compose gives"),
        (lambda: compare(5, "out"), "configs: expected a list of what lord.compose gives, got 5"),
        (lambda: compare([], "out", jobs=-1), "jobs: expected a number >= 0, got -1"),
        (lambda: run(compose("sgd", SMALL), resume=True), "resume: .* there is no out"),
        (
            lambda: run(compose("sgd", SMALL), "out", resume=True, overwrite=True),
            "resume: .* --overwrite replaces it: give one",
        ),
        (lambda: compose(5), "method: expected its name, got 5"),
        (lambda: compose("lord", {3: 1}), "given: expected settings by name, got 3"),
        (lambda: compose("lord", "epochs=5"), "given: expected settings by name, got 'epochs=5'"),
    ],
)
def test_a_wrong_argument_is_answered_in_one_line(act, said):
    with pytest.raises(UserError, match=said):
        act()


class Silent(METHODS["sgd"]):
    name = "silent"

    def step(self, batch):
        super().step(batch)


class Half(Method):
    name = "half"


class Long(METHODS["sgd"]):
    name = "long"

    def step(self, batch):
        return {"loss": super().step(batch)["loss"].repeat(3)}


class Blind(METHODS["sgd"]):
    name = "blind"

    def predict(self, images):
        return super().predict(images)[:3]


class Torn(METHODS["er"]):
    name = "torn"

    def step(self, batch):
        self.buffer.offer(images=batch.images[:3], labels=batch.labels)
        return super().step(batch)


class Named(METHODS["sgd"]):
    name = "named"

    class Config(MethodConfig, frozen=True):
        momentum: float = 0.9


class Wrong(METHODS["sgd"]):
    name = "wrong"

    class Config(MethodConfig, frozen=True):
        times: Count = 0


class Dashed(METHODS["sgd"]):
    name = "-x"


class Unset(METHODS["sgd"]):
    name = "unset"
    Config = dict


@pytest.mark.parametrize(
    ("method", "said"),
    [
        (Silent, "method 'silent': expected step to return tensors .* by name, .* got None"),
        (Long, "tensors of no dimension by name"),
        (Blind, r"predict: expected 71 x classes logits, got \(3, 10\)"),
        (Torn, "buffer: expected as many values in each column, got {'images': 3, 'labels': 32}"),
        (Named, "plugin: named.Config has 'momentum', which every run has: rename it"),
        (Wrong, "times: expected int >= 1, got 0"),
        (Dashed, "a method's name must be new and plain, got '-x'"),
        (Half, "plugin: Half lacks step"),
        (Unset, "plugin: Unset.Config is no lord.methods.MethodConfig"),
        (nn.Linear, "plugin: expected a subclass of lord.methods.Method, got"),
        (5, "plugin: expected a subclass of lord.methods.Method, got 5"),
    ],
)
def test_what_is_no_whole_method_is_refused_in_one_line(method, said):
    try:
        with pytest.raises(UserError, match=said):
            run(compose(register(method).name, SMALL))
    finally:
        METHODS.pop(getattr(method, "name", None), None)


def test_what_only_this_program_knows_is_not_compared_in_processes_of_their_own(tmp_path):
    register_network("here", lambda classes, width, channels: SmallCNN(classes, width, channels))
    try:
        config = compose("sgd", SMALL | {"network": "here"})
        said = "network 'here' is known to this program, not to the processes of the runs: give"
        with pytest.raises(UserError, match=said):
            compare([config], tmp_path / "out")
    finally:
        NETWORKS.pop("here")
    assert not (tmp_path / "out").exists()


def test_a_preset_for_other_images_is_refused(photos):
    config = compose("sgd", SMALL | {"data": str(photos)}, preset="s-cifar10")
    with pytest.raises(UserError, match=r"'s-cifar10' is for images of 10 classes, .* has 3; 'im"):
        run(config)


FAILING = """
from lord.methods import METHODS, register


@register
class Failing(METHODS["er"]):
    name = "failing"

    def {part}(self, *given):
        return [][1]
"""


@pytest.mark.parametrize("part", ["step", "end_task", "predict"])
def test_what_fails_inside_of_a_plug_in_is_told_by_its_line(part, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(FAILING.format(part=part))
    line = "run --method failing --plugin own.py --epochs 1 --width 8 --quiet --threads 1 --out out"
    try:
        with pytest.raises(SystemExit) as stop:
            main(line.split())
    finally:
        METHODS.pop("failing", None)
    assert stop.value.code == 2
    assert capsys.readouterr().err == (
        f"error: plugin '{tmp_path / 'own.py'}', line 10, in {part}: IndexError: list index out of "
        "range\n"
    )


def test_a_comparison_does_not_come_to_lie_in_a_runs_folder(tmp_path):
    run(compose("sgd", SMALL), tmp_path)
    with pytest.raises(UserError, match="is the folder of a run: give another --out"):
        compare([compose("er", SMALL)], tmp_path)
