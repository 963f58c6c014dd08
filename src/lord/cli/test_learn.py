"""A learner from the shell: real images, and real processes, some of which are killed."""

import json
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from PIL import Image

from lord.cli.conftest import DIGITS, MAKE, photos
from lord.cli.test_mistakes import check_one_line
from lord.config import UserError
from lord.learner import STATE_FILE, Learner, load_model
from lord.methods import METHODS
from lord.networks import NETWORKS
from lord.storage import previous
from lord.test_forked import Forked


def test_images_are_learned_week_by_week_and_told_apart(lord, tmp_path):
    one, two = photos(tmp_path / "one", "0", "1"), photos(tmp_path / "two", "1", "2", start=40)
    state = tmp_path / "state"
    code, out, error = lord(f"learn {one} --state {state} {MAKE} --set lr=0.05")
    assert code == 0, error
    assert "session 1: 80 images, 2 classes (0, 1 new)" in out
    code, out, _ = lord(f"learn {two} --state {state}")
    assert "session 2: 80 images, 3 classes (2 new)" in out
    assert "forgetting" in out
    code, _, error = lord(f"learn {one} --state {state}")
    assert code == 3
    assert f"'{one}' was learned already, in session 1; set --again to learn it once more" in error
    code, out, _ = lord(f"learn {one} --state {state} --again")
    assert "session 3" in out
    file = one / "0" / "3.png"
    code, out, _ = lord(f"predict {state} {file} {file} --json")
    found = [json.loads(line) for line in out.splitlines()]
    assert [row["file"] for row in found] == [str(file)] * 2
    assert all(row["label"] in "012" and 0 < row["confidence"] <= 1 for row in found)
    code, out, _ = lord(f"predict {state} {file}")
    assert out.startswith(f"{file}  ")
    code, out, error = lord(f"inspect {state} --sheet {tmp_path / 'sheet.png'}")
    assert code == 0, error
    assert "student's channels" in out
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (20 * 8, 4 * 8)
        assert len(np.unique(np.asarray(sheet))) > 10


def test_mistakes_are_answered_in_one_line(lord, tmp_path):
    one, state = photos(tmp_path / "one", "0", "1"), tmp_path / "state"
    assert lord(f"learn {one} --state {state} {MAKE}")[0] == 0
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "file").write_text("")
    again, new = f"learn {one} --state {state}", f"learn {one} --state {tmp_path / 'new'}"
    mistakes = [
        (f"learn {tmp_path / 'none'} --state {state}", "none'"),
        (f"{again} --width 9", "--width", "9", "8"),
        (f"{again} --resize 9", "--resize", "9", "8"),
        (f"{again} --set alpha=1", "--set alpha", "1"),
        (f"{again} --width 8 --set width=9", "--width", "twice"),
        (f"{new} --method lrod", "--method", "'lrod'", "did you mean 'lord'?"),
        (f"{new} --set alpa=1", "--set alpa", "did you mean 'alpha'?"),
        (f"{new} --resize 1", "--resize", "'1'", "from 4 to 1024"),
        (f"{new} --seconds -1", "--seconds", "-1", "a finite number above 0"),
        (f"{new} --seconds 1 --flops 1", "--seconds", "--flops"),
        (f"{new} --checkpoint-every nan", "--checkpoint-every", "nan", "at least 0"),
        (f"learn {one} --state {tmp_path / 'file'}", "file'"),
        (f"predict {tmp_path / 'new2'} x.png", "new2'"),
        (f"predict {state}", "PATHS", "at least one"),
        (f"predict {state} {tmp_path / 'gone.png'}", "gone.png"),
        (f"predict {state} {tmp_path / 'text.png'}", "text.png"),
        (f"inspect {tmp_path}", str(tmp_path)),
        (f"inspect {state} --sheet a.jpg", "--sheet", "'a.jpg'", ".png"),
        (f"export {state} {one}", "OUT", str(one), "exists"),
        (f"export {tmp_path / 'new3'} {tmp_path / 'a.onnx'}", "new3'"),
        (f"export {state} {tmp_path / 'no' / 'a.onnx'}", "OUT", "a.onnx"),
        (f"export {state} {tmp_path / 'a.pt2'} --format pt2 --int8", "--int8", "--format"),
    ]
    for line, *parts in mistakes:
        code, _, error = lord(line)
        assert code == 2, line
        check_one_line(error, *parts)


def test_a_second_process_is_refused(lord, tmp_path):
    one, state = photos(tmp_path / "one", "0", "1"), tmp_path / "state"
    line = f"learn {one} --state {state} --network cnn --width 8 --resize 8 --epochs 3000"
    line += " --checkpoint-every 0"
    process = Forked(*line.split())
    try:
        until = time.monotonic() + 60
        while not (state / "lock").exists() and time.monotonic() < until:
            time.sleep(0.05)
        code, _, error = lord(f"learn {one} --state {state}")
        assert (code, error) == (4, f"error: another process is learning in '{state}'\n")
        while not (state / STATE_FILE).exists() and time.monotonic() < until:
            time.sleep(0.05)
        _, out, _ = lord(f"inspect {state}")
        assert "a session is running" in out
        assert "no session has ended yet" in out
    finally:
        process.kill()
        process.wait()
    assert "a session was interrupted" in lord(f"inspect {state}")[1]  # its lock went with it
    assert lord(f"learn {one} --state {state} {MAKE} --abandon")[0] == 0


def test_nothing_is_written_over(lord, tmp_path):
    one, state = photos(tmp_path / "one", "0", "1"), tmp_path / "state"
    assert lord(f"learn {one} --state {state} {MAKE}")[0] == 0
    photo = one / "0" / "0.png"
    before = photo.read_bytes()
    for sheet, said in [
        (photo, "exists; name a new file"),
        (tmp_path / "no" / "x.png", "which is not a folder"),
        ("/proc/x.png", "cannot write '/proc/x.png'"),
    ]:
        code, _, error = lord(f"inspect {state} --sheet {sheet}")
        assert code == 2
        assert said in error
    assert photo.read_bytes() == before
    assert lord(f"inspect {state} --sheet {tmp_path / 'sheet'}")[0] == 0  # whatever its name is
    code, _, error = lord(f"export {state} /proc/x.pt2 --format pt2")
    assert (code, error.startswith("error: cannot write '/proc/x.pt2'")) == (2, True)


def test_a_folder_of_weeks_is_not_taken_for_classes(lord, tmp_path):
    one, state = photos(tmp_path / "weeks" / "one", "0", "1"), tmp_path / "state"
    assert lord(f"learn {one} --state {state} {MAKE}")[0] == 0
    code, _, error = lord(f"learn {tmp_path / 'weeks'} --state {state}")
    assert code == 2
    assert f"'{one}' would become a class, but holds a folder of class '0'; name '{one}'" in error
    photos(tmp_path / "weeks" / "two", "2", "3")
    code, _, error = lord(f"learn {tmp_path / 'weeks'} --state {tmp_path / 'new'} {MAKE}")
    assert code == 2
    assert "one' would become a class, but holds only folders (0, 1); if those are" in error
    assert not (tmp_path / "new").exists()
    for week in ("one", "two"):
        photos(tmp_path / "same" / week, "2")
    code, _, error = lord(f"learn {tmp_path / 'same'} --state new {MAKE}")
    assert (code, "holds only folders (2)" in error) == (2, True)
    code, _, error = lord(f"learn {one} --state {one / 'memory'} {MAKE}")
    assert (code, "--state: " in error) == (2, True)


def test_a_folder_for_images_in_each_class_is_a_known_layout(lord, tmp_path):
    one = photos(tmp_path / "one", "0", "1")
    for name in ("0", "1"):
        (one / name).rename(one / "images")
        (one / name).mkdir()
        (one / "images").rename(one / name / "images")
    code, out, error = lord(f"learn {one} --state state {MAKE}")
    assert code == 0, error
    assert "2 classes (0, 1 new)" in out


def test_a_learner_and_a_runs_model_are_told_apart(lord, tmp_path):
    one, state = photos(tmp_path / "one", "0", "1"), tmp_path / "state"
    assert lord(f"learn {one} --state {state} {MAKE}")[0] == 0
    assert lord("run --method sgd --epochs 1 --width 4 --quiet --threads 1 --out run")[0] == 0
    code, _, error = lord(f"predict run {one / '0' / '0.png'}")
    assert (code, error) == (
        2,
        "error: 'run' holds a run's model, not a learner; use lord.load_model\n",
    )
    with pytest.raises(
        UserError, match=r"holds a learner, not a run's model; use lord.Learner.load"
    ):
        load_model(state)
    assert Learner.load(state).classes == ["0", "1"]
    code, _, error = lord(f"learn {one} --state run {MAKE}")
    assert code == 2
    check_one_line(error, "--state", "'run'", "holds a run's results")
    code, _, error = lord(f"run --method sgd --epochs 1 --threads 1 --overwrite --out {state}")
    assert code == 2
    check_one_line(error, "--out", f"'{state}' holds a learner")


def test_the_name_of_an_export_tells_its_format(lord, tmp_path):
    one, state = photos(tmp_path / "one", "0", "1"), tmp_path / "state"
    assert lord(f"learn {one} --state {state} {MAKE}")[0] == 0
    assert lord(f"export {state} a.pt2")[0] == 0
    assert torch.export.load(tmp_path / "a.pt2").module()
    code, _, error = lord(f"export {state} b.pt2 --format onnx")
    assert code == 2
    check_one_line(error, "--format", "'onnx'", "'b.pt2'")


def test_a_learner_can_be_inspected_before_its_buffer_holds_anything(lord, tmp_path):
    one, state = photos(tmp_path / "one", "0", "1"), tmp_path / "state"
    line = f"learn {one} --state {state} --method icarl --network cnn --width 8 --resize 8"
    process = Forked(*line.split(), "--epochs", "3000", "--checkpoint-every", "0")
    until = time.monotonic() + 60
    while not (state / STATE_FILE).exists() and time.monotonic() < until:
        time.sleep(0.02)
    process.kill()
    process.wait()
    code, out, error = lord(f"inspect {state}")
    assert code == 0, error
    assert "a session was interrupted" in out
    assert lord(f"predict {state} {one / '0' / '0.png'}")[0] == 0
    new = tmp_path / "new"
    new.mkdir()
    Learner(network="cnn", width=8).save(new / STATE_FILE)
    for line in (f"predict {new} {one / '0' / '0.png'}", f"export {new} {tmp_path / 'x'}"):
        code, _, error = lord(line)
        assert (code, "has learned nothing yet" in error) == (2, True)


def test_names_are_printed_as_they_are_and_notes_apart_from_results(lord, tmp_path):
    one, state = photos(tmp_path / "one", "0", "1"), tmp_path / "state"
    (one / "0").rename(one / "[b]")
    (one / "1").rename(one / "[red]x[")
    code, _, error = lord(f"learn {one} --state {state} {MAKE}")
    assert code == 0, error
    code, out, error = lord(f"inspect {state}")
    assert code == 0, error
    assert "[b]" in out
    assert "[red]x[" in out
    shutil.copy(state / STATE_FILE, previous(state / STATE_FILE))
    (state / STATE_FILE).write_bytes(b"damaged")
    code, out, error = lord(f"predict {state} {one / '[b]' / '0.png'} --json")
    assert json.loads(out)["label"] in ("[b]", "[red]x[")
    assert "the checkpoint before it was read instead" in error


@pytest.mark.slow
def test_an_exported_learner_agrees_and_runs_without_torch(lord, tmp_path):
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    one, state = photos(tmp_path / "one", "0", "1", "2", count=100), tmp_path / "state"
    make = MAKE.replace("epochs 2", "epochs 12")
    assert lord(f"learn {one} --state {state} {make}")[0] == 0
    code, out, error = lord(f"export {state} {tmp_path / 'm.onnx'}")
    assert code == 0, error
    assert "largest difference from PyTorch" in out
    images = DIGITS.test_images[DIGITS.test_labels < 3].contiguous()
    np.save(tmp_path / "images.npy", images.numpy())
    script = f"""
import sys; sys.modules["torch"] = None
import json, numpy, onnxruntime
session = onnxruntime.InferenceSession(r"{tmp_path / "m.onnx"}")
found = session.run(None, {{"images": numpy.load(r"{tmp_path / "images.npy"}")}})[0]
numpy.save(r"{tmp_path / "found.npy"}", found)
print(session.get_modelmeta().custom_metadata_map["classes"])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == ["0", "1", "2"]
    learner = Learner.load(state)
    wanted = learner.method.predict(images).softmax(1)
    found = torch.from_numpy(np.load(tmp_path / "found.npy"))
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-3)
    code, out, error = lord(f"export {state} {tmp_path / 'm.pt2'} --format pt2")
    assert code == 0, error
    extra = {"classes.json": ""}
    program = torch.export.load(tmp_path / "m.pt2", extra_files=extra).module()
    torch.testing.assert_close(program(images), wanted, atol=1e-5, rtol=1e-4)
    assert json.loads(extra["classes.json"]) == ["0", "1", "2"]
    code, out, error = lord(f"export {state} {tmp_path / 'm8.onnx'} --int8")
    assert code == 0 or "accuracy would fall" in error
    assert (tmp_path / "m8.onnx").exists() == (code == 0)
    assert not list(tmp_path.glob(".m8*"))


PLUGIN = """
import lord
from torch import nn


class Narrow(nn.Module):
    def __init__(self, classes, channels):
        super().__init__()
        self.body, self.out = nn.Conv2d(channels, 8, 3), nn.Linear(8, classes)

    def forward(self, x):
        return self.out(self.body(x).relu().mean((2, 3)))


lord.register_network("narrow", lambda classes, width, channels: Narrow(classes, channels))
"""


def test_a_network_of_a_plug_in_is_trained_inspected_and_exported_from_the_shell(lord, tmp_path):
    one = photos(tmp_path / "one", "0", "1")
    (tmp_path / "own.py").write_text(PLUGIN)
    make = MAKE.replace("cnn --width 8", "narrow")
    code, _, error = lord(f"learn {one} --state state {make} --plugin own.py")
    assert code == 0, error
    NETWORKS.pop("narrow")  # as in the next process
    code, _, error = lord("inspect state")
    assert code == 2
    check_one_line(error, "'narrow'", "plug-in")
    file = one / "0" / "0.png"
    for line in ("inspect state", f"predict state {file}", "export state a.pt2"):
        code, _, error = lord(f"{line} --plugin own.py")
        assert code == 0, error
        NETWORKS.pop("narrow")


def test_a_learner_whose_method_is_that_of_a_plug_in_asks_for_the_plug_in(lord, tmp_path):
    one = photos(tmp_path / "one", "0", "1")
    (tmp_path / "own.py").write_text(
        "from lord.methods import METHODS, register\n\n\n"
        "@register\nclass Twice(METHODS['er'].method):\n    name = 'twice'\n"
    )
    make = MAKE.replace("--set candidates=8", "--method twice")
    code, _, error = lord(f"learn {one} --state state {make} --plugin own.py")
    assert code == 0, error
    METHODS.pop("twice")  # as in the next process
    for line in (f"predict state {one}/0/0.png", f"learn {one} --state state", "inspect state"):
        code, _, error = lord(line)
        assert code == 2
        check_one_line(error, "'twice' is the learner's method", "set --plugin to the plug-in")
    assert lord(f"predict state {one}/0/0.png --plugin own.py")[0] == 0
    METHODS.pop("twice")


def test_a_first_session_abandoned_leaves_the_settings_and_no_drafts(lord, tmp_path):
    one, state = photos(tmp_path / "one", "0", "1"), tmp_path / "state"
    line = f"learn {one} --state {state} --network cnn --width 12 --resize 8 --epochs 3000"
    process = Forked(*line.split(), "--checkpoint-every", "0")
    until = time.monotonic() + 60
    while not (state / STATE_FILE).exists() and time.monotonic() < until:
        time.sleep(0.02)
    process.kill()
    process.wait()
    (state / f".{STATE_FILE}-abcd1234").write_bytes(b"half")
    code, _, error = lord(f"learn {one} --state {state} --abandon --epochs 1 --resize 8")
    assert code == 0, error
    config = Learner.load(state).config
    assert (config.network.network, config.network.width, config.epochs) == ("cnn", 12, 1)
    assert not list(state.glob(".*"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.onnx", "a.pt2"])
def test_a_transformer_is_exported_too(lord, tmp_path, name):
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    one = photos(tmp_path / "one", "0", "1")
    make = MAKE.replace("cnn", "vit")
    assert lord(f"learn {one} --state state {make}")[0] == 0
    code, _, error = lord(f"export state {name}")
    assert code == 0, error
