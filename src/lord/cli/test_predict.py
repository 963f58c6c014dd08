"""Images of unknown classes, from the shell."""

import csv
import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from lord.cli.test_mistakes import check_one_line
from lord.learner import STATE_FILE, Learner
from lord.learner.conftest import digits


@pytest.fixture
def files(tmp_path):
    """A learner of two digits in the folder memory, and files: a known digit, and noise."""
    learner = Learner(method="slda")
    images, labels = digits("0", "1")
    learner.learn(images, labels)
    (tmp_path / "memory").mkdir()
    learner.save(tmp_path / "memory" / STATE_FILE)
    noise = np.random.default_rng(0).integers(0, 256, images.shape[2:], dtype=np.uint8)
    Image.fromarray(images[0, 0].numpy()).save(tmp_path / "known.png")
    Image.fromarray(noise).save(tmp_path / "noise.png")
    return labels[0], "known.png noise.png"


def test_unknown_images_are_named_at_a_rate_of_false_alarms(lord, files):
    label, names = files
    code, out, error = lord(f"predict memory {names} --unknown")
    assert code == 0, error
    known, noise = out.splitlines()
    assert known.startswith(f"known.png  {label}  ")
    assert noise.startswith("noise.png  unknown  most like ")
    code, out, _ = lord(f"predict memory {names} --false-alarms 0.1 --json")
    known, noise = (json.loads(line) for line in out.splitlines())
    assert (known["is_unknown"], noise["is_unknown"]) == (False, True)
    assert known["unknown"] < 0.9 <= noise["unknown"]
    assert noise["label"] in "01"
    assert "unknown" not in json.loads(lord(f"predict memory {names} --json")[1].splitlines()[0])


def test_a_rate_that_needs_more_held_out_images_is_refused(lord, files):
    line = f"predict memory {files[1]} --false-alarms 0.001"
    code, _, error = lord(line)
    assert code == 2
    check_one_line(error, "--false-alarms", "0.001", "at least 0.0", "held-out images")


def test_unknown_images_need_held_out_images_and_the_error_names_the_flag_given(lord, files):
    learner = Learner(method="slda")
    learner.learn(digits("0", "1")[0][:40], ["0", "1"] * 20)
    learner.save("memory/" + STATE_FILE)
    code, _, error = lord(f"predict memory {files[1]} --unknown")
    assert code == 2
    check_one_line(error, "--unknown", "needs 19 held-out images", "set --false-alarms to 0.")


def test_folders_patterns_and_the_standard_input_name_files(lord, files, tmp_path, monkeypatch):
    names = files[1].split()
    (tmp_path / "photos" / "deep").mkdir(parents=True)
    for name, place in zip(names, ("photos", "photos/deep"), strict=True):
        (tmp_path / name).rename(tmp_path / place / name)
    (tmp_path / "photos" / "notes.txt").write_text("no picture")
    wanted = ["photos/deep/noise.png", "photos/known.png"]
    typed = io.TextIOWrapper(io.BytesIO("\n".join(wanted).encode()))
    monkeypatch.setattr("sys.stdin", typed)
    for paths in ("photos", "photos/[kd]*", "photos/**/*.png", "-", " ".join(wanted)):
        code, out, error = lord(f"predict memory {paths} --json")
        assert (code, error) == (0, "")
        assert sorted(json.loads(line)["file"] for line in out.splitlines()) == wanted
    (tmp_path / "empty").mkdir()
    code, out, error = lord("predict memory empty none/*.png photos")
    assert (code, len(out.splitlines())) == (2, 2)
    assert error == "error: 'empty' has no images\nerror: no file matches 'none/*.png'\n"


def test_a_bad_file_gets_a_line_and_the_rest_is_answered(lord, files, tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    Image.new("RGB", (8, 8), "red").save(tmp_path / "red.png")
    code, out, error = lord("predict memory text.png known.png gone.png red.png noise.png")
    assert code == 2
    assert [line.split()[0] for line in out.splitlines()] == ["known.png", "noise.png"]
    text, gone, red = error.splitlines()
    assert text == "error: cannot use 'text.png': unknown format"
    assert gone == "error: cannot use 'gone.png': No such file or directory"
    assert red.startswith("error: cannot use 'red.png': it is in colour")


def test_a_table_of_comma_separated_values_has_what_was_asked_for(lord, files, tmp_path):
    (tmp_path / "known.png").rename(tmp_path / "a, b.png")
    code, out, error = lord("predict memory . --format csv --top 2 --probabilities --unknown")
    assert code == 0, error
    one, two = csv.DictReader(out.splitlines())
    assert list(one) == [
        *("file", "label", "confidence", "unknown", "is_unknown"),
        *("label_2", "confidence_2", "p(0)", "p(1)"),
    ]
    assert (one["file"], one["is_unknown"], two["is_unknown"]) == ("a, b.png", "False", "True")
    assert one["label"] == files[0] != one["label_2"]
    assert float(one["p(0)"]) + float(one["p(1)"]) == pytest.approx(1)
    row = json.loads(
        lord("predict memory . --format jsonl --top 9 --probabilities")[1].split("\n")[0]
    )
    assert [each["label"] for each in row["top"]] == [one["label"], one["label_2"]]
    assert row["probabilities"][row["label"]] == row["confidence"]
    assert lord("predict memory noise.png --top 2")[1].count(" %") == 2
    code, _, error = lord("predict memory noise.png --format csv --json")
    check_one_line(error, "--format", "'csv'", "--json")


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX only")
def test_names_that_are_not_utf_8_are_printed_as_they_are(lord, files, tmp_path):
    name = os.fsdecode(b"caf\xe9.png")
    (tmp_path / "known.png").rename(tmp_path / name)
    done = subprocess.run(
        [sys.executable, "-m", "lord", "predict", "memory", "-"],
        input=b"caf\xe9.png\n",
        capture_output=True,
        cwd=tmp_path,
        check=True,
    )
    assert done.stdout.startswith(b"caf\xe9.png  ")
    _, out, _ = lord("predict memory . --json")
    assert os.fsencode(json.loads(out.splitlines()[0])["file"]) == b"caf\xe9.png"


def test_a_file_may_have_a_name_like_an_option(lord, files, tmp_path):
    (tmp_path / "known.png").rename(tmp_path / "-k.png")
    code, out, error = lord("predict memory -- -k.png")
    assert (code, out.split()[:2]) == (0, ["-k.png", files[0]]), error
