"""A kept learner from the shell: real images, real processes, some of them killed."""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from PIL import Image

from lord.cli.main import main
from lord.data import DataConfig, load_images
from lord.learner import STATE, Learner, load_learner, previous
from lord.learner.keep import FINISHED

DIGITS = load_images(DataConfig())
MAKE = "--network cnn --width 8 --resize 8 --epochs 2 --set buffer=64 --set candidates=8"


@pytest.fixture
def lord(capsys):
    def type_in(line):
        code = 0
        try:
            main(line.split())
        except SystemExit as stop:
            code = stop.code or 0
        out, error = capsys.readouterr()
        return code, out, error

    return type_in


def photos(folder, *names, start=0, count=40):
    """A folder of PNG files by class."""
    for name in names:
        own = DIGITS.train_images[DIGITS.train_labels == int(name)][start : start + count]
        (folder / name).mkdir(parents=True)
        for place, image in enumerate(own):
            Image.fromarray(image[0].numpy()).save(folder / name / f"{place}.png")
    return folder


def test_images_are_learnt_week_by_week_and_told_apart(lord, tmp_path):
    one, two = photos(tmp_path / "one", "0", "1"), photos(tmp_path / "two", "1", "2", start=40)
    state = tmp_path / "state"
    code, out, error = lord(f"learn {one} --state {state} {MAKE} --set lr=0.05")
    assert code == 0, error
    assert "session 1: 80 images, 2 classes (0, 1 new)" in out
    code, out, _ = lord(f"learn {two} --state {state}")
    assert "session 2: 80 images, 3 classes (2 new)" in out
    assert "forgetting" in out
    code, _, error = lord(f"learn {one} --state {state}")
    assert (code, error) == (
        2,
        f"error: '{one}' was learnt already, in session 1; --again does it anew\n",
    )
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
    mistakes = [
        (f"learn {tmp_path / 'none'} --state {state}", "no data at"),
        (f"learn {one} --state {state} --width 9", "width: was settled as 8 when"),
        (f"learn {one} --state {state} --resize 9", "resize: was settled as 8 when"),
        (f"learn {one} --state {state} --set alpha=1", "alpha: was left at its default when"),
        (f"learn {one} --state {tmp_path / 'new'} --method lrod", "did you mean 'lord'?"),
        (f"learn {one} --state {tmp_path / 'new'} --set alpa=1", "did you mean 'alpha'?"),
        (f"learn {one} --state {tmp_path / 'new'} --resize 1", "resize: expected 4 to 1024, got 1"),
        (
            f"learn {one} --state {tmp_path / 'new'} --seconds -1",
            "seconds: expected a number above 0",
        ),
        (f"learn {one} --state {tmp_path / 'new'} --seconds 1 --flops 1", "give one of them"),
        (f"learn {one} --state {tmp_path / 'file'}", "cannot write to"),
        (f"predict {tmp_path / 'new2'} x.png", "'lord learn' makes one"),
        (f"predict {state}", "name at least one image"),
        (f"predict {state} {tmp_path / 'gone.png'}", "cannot read the image"),
        (f"predict {state} {tmp_path / 'text.png'}", "cannot read the image"),
        (f"inspect {tmp_path}", "no learner at"),
        (f"export {state} {one}", "exists: name a new file"),
        (f"export {tmp_path / 'new3'} {tmp_path / 'a.onnx'}", "no model at"),
        (f"export {state} {tmp_path / 'no' / 'a.onnx'}", "no folder"),
        (f"export {state} {tmp_path / 'a.pt2'} --format pt2 --int8", "int8: is for --format onnx"),
    ]
    for line, said in mistakes:
        code, _, error = lord(line)
        assert code == 2, line
        assert error.startswith("error: ")
        assert len(error.strip().splitlines()) == 1, error
        assert said in error


def test_a_second_process_is_refused(lord, tmp_path):
    one, state = photos(tmp_path / "one", "0", "1"), tmp_path / "state"
    line = f"learn {one} --state {state} --network cnn --width 8 --resize 8 --epochs 3000"
    process = subprocess.Popen([sys.executable, "-m", "lord", *line.split()])
    try:
        until = time.monotonic() + 60
        while not (state / "lock").exists() and time.monotonic() < until:
            time.sleep(0.05)
        code, _, error = lord(f"learn {one} --state {state}")
        assert (code, error) == (2, f"error: another process is learning in '{state}'\n")
    finally:
        process.kill()
        process.wait()
    assert lord(f"learn {one} --state {state} {MAKE}")[0] == 0  # its lock went with it


def weeks(tmp_path):
    parts = [("0", "1"), ("2",), ("0", "2")]
    return [
        photos(tmp_path / f"week{w}", *names, start=20 * w, count=20)
        for w, names in enumerate(parts)
    ]


def session(folder, state, make=MAKE):
    line = f"learn {folder} --state {state} --checkpoint-every 0 {make}"
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-m", "lord", *line.split()], env=environment)


def tensors(state):
    learner, note = load_learner(state)
    assert note is None
    return learner.method.state_dict()


def same(one, other):
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


def stamp(file):
    """When it was written last."""
    with contextlib.suppress(FileNotFoundError):
        return file.stat().st_mtime_ns


def check_kills(tmp_path, kills, seed):
    folders, source = weeks(tmp_path), random.Random(seed)
    for folder in folders:
        assert session(folder, tmp_path / "whole").wait() == 0
    done = runs = 0
    while done < kills:
        parts, runs = tmp_path / f"parts{runs}", runs + 1
        for folder in folders:
            while True:
                before = stamp(parts / STATE)
                process, until = session(folder, parts), time.monotonic() + 60
                if done < kills:
                    while stamp(parts / STATE) == before and time.monotonic() < until:
                        if process.poll() is not None:
                            break
                        time.sleep(0.01)  # until it has come a step further
                    time.sleep(source.random())
                    process.kill()
                    if process.wait() == -signal.SIGKILL:
                        done += 1
                        continue
                if process.wait() in (0, 2):  # 2: it had ended before it could be killed
                    break
        assert same(tensors(parts), tensors(tmp_path / "whole"))
    print(f"{done} kills in {runs} learners, each of which ended the same")


def test_a_learner_killed_in_its_sessions_ends_as_if_it_was_not(tmp_path):
    check_kills(tmp_path, 3, seed=0)


@pytest.mark.slow
def test_a_learner_killed_many_times_ends_as_if_it_was_not(tmp_path):
    check_kills(tmp_path, int(os.environ.get("LORD_KILLS", "12")), seed=1)


def learn_one_and_a_half(lord, folders, state):
    """One session to its end, and one that is killed in the middle."""
    make = MAKE.replace("epochs 2", "epochs 3000")
    assert lord(f"learn {folders[0]} --state {state} {make} --seconds 0.2")[0] == 0
    process = session(folders[1], state, make)
    until = time.monotonic() + 60
    while load_learner(state)[0].unfinished is None and time.monotonic() < until:
        time.sleep(0.02)
    process.kill()
    process.wait()


def test_a_session_that_cannot_be_finished_can_be_abandoned(lord, tmp_path):
    folders, state = weeks(tmp_path), tmp_path / "state"
    learn_one_and_a_half(lord, folders, state)
    (folders[1] / "2" / "0.png").unlink()
    code, _, error = lord(f"learn {folders[1]} --state {state}")
    assert code == 2
    assert "to go back to before it, give --abandon" in error
    code, out, error = lord(f"learn {folders[1]} --state {state} --abandon --seconds 0.1")
    assert code == 0, error
    assert "session 2: 19 images, 3 classes (2 new)" in out
    code, _, error = lord(f"learn {folders[2]} --state {state} --abandon")
    assert (code, error) == (2, f"error: abandon: no session was interrupted in '{state}'\n")


def test_a_mistake_in_abandoning_costs_nothing(lord, tmp_path):
    folders, state = weeks(tmp_path), tmp_path / "state"
    learn_one_and_a_half(lord, folders, state)
    code, _, error = lord(f"learn {tmp_path / 'nowhere'} --state {state} --abandon")
    assert (code, "no data at" in error) == (2, True)
    assert load_learner(state)[0].unfinished
    whole = (state / FINISHED).read_bytes()
    (state / FINISHED).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    code, _, error = lord(f"learn {folders[2]} --state {state} --abandon")
    assert (code, "its checksum is wrong" in error) == (2, True)
    assert len(load_learner(state)[0].sessions) == 1
    (state / FINISHED).unlink()
    code, _, error = lord(f"learn {folders[2]} --state {state} --abandon")
    assert (code, "is not there" in error) == (2, True)
    assert len(load_learner(state)[0].sessions) == 1


def test_abandoning_the_first_session_leaves_nothing_of_it(lord, tmp_path):
    one, state = photos(tmp_path / "one", "0", "1"), tmp_path / "state"
    code, _, error = lord(f"learn {one} --state {state} {MAKE} --set lr=1e30 --checkpoint-every 0")
    assert code == 2
    assert "make a learner with a lower lr" in error
    assert lord(f"learn {one} --state {state} --abandon {MAKE} --set lr=0.05")[0] == 0


def test_nothing_is_written_over(lord, tmp_path):
    one, state = photos(tmp_path / "one", "0", "1"), tmp_path / "state"
    assert lord(f"learn {one} --state {state} {MAKE}")[0] == 0
    photo = one / "0" / "0.png"
    before = photo.read_bytes()
    for sheet, said in [
        (photo, "exists: name a new file"),
        (tmp_path / "no" / "x.png", "no folder"),
        ("/proc/x.png", "cannot write '/proc/x.png'"),
    ]:
        code, _, error = lord(f"inspect {state} --sheet {sheet}")
        assert code == 2
        assert said in error
    assert photo.read_bytes() == before
    assert lord(f"inspect {state} --sheet {tmp_path / 'sheet'}")[0] == 0  # whatever its name is
    code, _, error = lord(f"export {state} /proc/x.pt2 --format pt2")
    assert (code, error.startswith("error: cannot write '/proc/x.pt2'")) == (2, True)


def test_a_learner_can_be_looked_at_before_its_buffer_holds_anything(lord, tmp_path):
    one, state = photos(tmp_path / "one", "0", "1"), tmp_path / "state"
    line = f"learn {one} --state {state} --method icarl --network cnn --width 8 --resize 8"
    process = subprocess.Popen(
        [sys.executable, "-m", "lord", *line.split(), "--epochs", "3000", "--checkpoint-every", "0"]
    )
    until = time.monotonic() + 60
    while not (state / STATE).exists() and time.monotonic() < until:
        time.sleep(0.02)
    process.kill()
    process.wait()
    code, out, error = lord(f"inspect {state}")
    assert code == 0, error
    assert "a session was interrupted" in out
    assert lord(f"predict {state} {one / '0' / '0.png'}")[0] == 0
    new = tmp_path / "new"
    new.mkdir()
    Learner(network="cnn", width=8).save(new / STATE)
    for line in (f"predict {new} {one / '0' / '0.png'}", f"export {new} {tmp_path / 'x'}"):
        code, _, error = lord(line)
        assert (code, error) == (2, "error: nothing was learnt yet\n")


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
    shutil.copy(state / STATE, previous(state / STATE))
    (state / STATE).write_bytes(b"damaged")
    code, out, error = lord(f"predict {state} {one / '[b]' / '0.png'} --json")
    assert json.loads(out)["label"] in ("[b]", "[red]x[")
    assert "going on from the one before it" in error


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
    learner, _ = load_learner(state)
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
