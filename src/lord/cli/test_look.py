"""Looking at a learner from the shell: evaluate, suggest, drift and inspect."""

import json

import pytest
from PIL import Image, ImageOps

from lord.cli.conftest import photos
from lord.cli.test_mistakes import check_one_line
from lord.learner import Learner

MAKE = "--method er --network cnn --width 4 --resize 8 --epochs 1 --set buffer=64"


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """A network that has learned two sessions, in the folder state, and images it has not seen."""
    folder = tmp_path_factory.mktemp("look")
    photos(folder / "week one", "0", "1", "2")
    photos(folder / "two", "1", "3", start=40)
    photos(folder / "test", "0", "1", "3", "9", start=80, count=20)
    (folder / "test" / "0" / "bad.png").write_bytes(b"no picture")
    from lord.learner import learn_folder

    given = {"method": "er", "network": "cnn", "width": 4, "epochs": 1, "buffer": 64}
    for name in ("week one", "two"):
        learn_folder(folder / "state", folder / name, given, resize=8, report=lambda _: None)
    return folder


@pytest.fixture
def look(lord, learned, monkeypatch):
    monkeypatch.chdir(learned)
    return lord


def test_an_evaluation_is_a_table_and_json(look):
    code, out, error = look("evaluate state test")
    assert code == 0
    assert "accuracy" in out
    assert "does not know these classes, which are not counted: 9 (20, mostly" in out
    assert error.splitlines()[0] == "1 file could not be used:"
    assert "test/0/bad.png  unknown format" in error
    found = json.loads(look("evaluate state test --json")[1])
    assert [each["name"] for each in found["classes"]] == ["0", "1", "2", "3"]
    assert found["images"] == sum(each["images"] for each in found["classes"]) == 60
    assert found["classes"][2]["recall"] is None
    assert found["worst"][0]["file"] in out
    code, _, error = look("evaluate state nowhere")
    assert code == 2
    check_one_line(error, "nowhere")


def test_a_whole_inspection_is_json_and_no_table_is_cut_in_a_pipe(look, learned):
    found = json.loads(look("inspect state --json")[1])
    assert [each["source"] for each in found["sessions"]] == [
        str(learned / "week one"),
        str(learned / "two"),
    ]
    assert found["given"] == [40, 80, 40, 40]
    assert found["buffer"]["images"] == sum(found["buffer"]["classes"]) == 64
    files = {file.name for file in (learned / "state").iterdir() if file.stat().st_size}
    assert {each["name"] for each in found["disk"] if each["size"]} == files
    sizes = {each["name"]: each["size"] for each in found["memory"]}
    learner = Learner.load(learned / "state")
    assert sizes["held out"] >= learner.held_out.columns["images"].numel()
    assert sizes["student"] == sum(
        each.numel() * each.element_size() for each in learner.method.student.state_dict().values()
    )
    code, out, _ = look("inspect state")
    assert code == 0
    line = next(line for line in out.splitlines() if "week one" in line)
    assert len(line) > 80
    assert "0, 1, 2" in line
    assert "…" not in out


def test_suggestions_are_files_with_reasons(look):
    code, out, error = look("suggest state test --count 5")
    assert code == 0
    assert "5 of 80 images" in out
    assert "test/0/bad.png" in error
    rows = [
        json.loads(line) for line in look("suggest state test --count 5 --json")[1].splitlines()
    ]
    assert len(rows) == 5
    assert all(row["file"] in out and row["text"] in out for row in rows)
    code, _, error = look("suggest state two")
    assert code == 2
    check_one_line(error, "FOLDER", "'two' has no image that is new to the learner")
    code, _, error = look("suggest state test --count 0")
    check_one_line(error, "--count", "'0'", "at least 1")


def test_drift_is_said_in_words_with_exit_code_0(look, learned):
    for file in photos(learned / "inverted", "0", "1", "3", start=80, count=20).glob("*/*"):
        ImageOps.invert(Image.open(file)).save(file)
    code, out, error = look("drift state inverted")
    assert code == 0, error
    assert "The images differ from those the learner knows" in out
    found = json.loads(look("drift state inverted --json")[1])
    assert found["p"] < 0.05
    assert found["moved"][0]["file"] in out
    code, out, _ = look("drift state test")
    assert code == 0


def test_pages_are_written_and_only_pages_are_replaced(look, learned):
    told = {"inspect state": [], "evaluate state test": ["accuracy ", "The learner does not know"]}
    for line, starts in told.items():
        for _ in range(2):
            code, out, error = look(f"{line} --html page.html")
            assert code == 0, error
            *lines, last = out.splitlines()
            assert last == "The page is page.html."
            assert len(lines) == len(starts)
            assert all(map(str.startswith, lines, starts))
    json.loads(look("evaluate state test --json --html page.html")[1])
    (learned / "mine.html").write_text("<p>mine")
    code, _, error = look("inspect state --html mine.html")
    assert code == 2
    check_one_line(error, "'mine.html' was not made by")
    code, _, error = look("inspect state --html no/page.html")
    assert code == 2
    check_one_line(error, "no")


def test_an_inspection_of_an_interrupted_session_names_its_folder(lord, tmp_path):
    one = photos(tmp_path / "one", "0", "1")
    code, _, _ = lord(f"learn {one} --state state {MAKE} --set lr=1e30 --checkpoint-every 0")
    assert code == 2
    code, out, error = lord("inspect state")
    assert code == 0, error
    assert f"a session was interrupted on '{one}'" in out
    found = json.loads(lord("inspect state --json")[1])
    assert found["unfinished"]["source"] == str(one)
    assert found["advice"][0]["command"] == f"lord learn {one} --state state"


def test_help_groups_the_commands_by_what_people_do(lord):
    out = lord("--help")[1]
    places = [
        out.index(name)
        for name in (
            "Learn ",
            "Look after a learner",
            "Predict and serve",
            "Compare",
            "The machine",
        )
    ]
    assert places == sorted(places)
    after = out[places[1] : places[2]]
    assert all(name in after for name in ("inspect", "evaluate", "suggest", "drift"))
