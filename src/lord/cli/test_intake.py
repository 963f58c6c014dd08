"""Several folders, bad files and doubtful names at the command line."""

import shutil

import pytest

from lord.cli.conftest import photos
from lord.cli.test_mistakes import check_one_line
from lord.learner import Learner

MAKE = "--network cnn --width 4 --resize 8 --epochs 1 --set buffer=32 --set candidates=8"


@pytest.fixture
def weeks(tmp_path):
    """Two weeks and a test set, all folders of classes."""
    for number, name in enumerate(("week1", "week2", "test")):
        photos(tmp_path / "photos" / name, "0", "1", start=12 * number, count=12)
    return tmp_path / "photos"


def test_several_folders_are_sessions_and_those_with_nothing_new_are_passed_over(lord, weeks):
    line = f"learn {weeks}/test {weeks}/week1 {weeks}/week2 --state state {MAKE}"
    code, out, error = lord(line)
    assert code == 0, error
    assert "session 1: 24 images" in out
    assert "session 2: 24 images" in out
    assert f"'{weeks}/test' is skipped, because it is named like a test set" in out
    assert len(Learner.load("state").sessions) == 2
    photos(weeks / "week3", "0", start=40, count=3)
    shutil.copytree(weeks / "week1" / "1", weeks / "week3" / "1")
    code, out, error = lord(f"{line} {weeks}/week3")
    assert code == 0, error
    assert f"'{weeks}/week1' was learned already, in session 1\n" in out
    assert "learning 3 of 15 images; 12 were learned before\n" in out
    code, _, error = lord(f"{line} {weeks}/week3")
    assert (code, error) == (3, "error: none of the folders has anything new\n")
    assert lord(f"learn {weeks}/test --state state")[0] == 0  # alone it is learned


def test_a_missing_folder_is_refused_before_others_are_learned_but_an_empty_one_is_skipped(
    lord, weeks
):
    code, _, error = lord(f"learn {weeks}/week1 {weeks}/week9 --state state {MAKE}")
    assert (code, "week9': no such file" in error) == (2, True)
    (weeks / "week3" / "0").mkdir(parents=True)
    (weeks / "notes.txt").write_text("x")
    code, out, _ = lord(f"learn {weeks}/notes.txt {weeks}/week1 {weeks}/week3 --state state {MAKE}")
    assert (code, out.count("; it is skipped\n"), "session 1" in out) == (0, 2, True)
    code, _, error = lord(f"learn --state state {MAKE}")
    assert code == 2
    check_one_line(error, "FOLDERS", "at least one")


def test_a_folder_of_weeks_is_refused_whatever_lies_beside_it(lord, weeks, tmp_path):
    photos(tmp_path / "more", "2", count=3)
    (tmp_path / "more" / "2").rename(weeks / "loose")
    for name in ("week1", "test"):
        (weeks / name / "0").rename(weeks / name / f"only-in-{name}")
    for command in ("learn {} --state state " + MAKE, "data {}"):
        code, _, error = lord(command.format(weeks))
        assert code == 2
        check_one_line(error, "week1' would become a class, but holds only folders")


def test_bad_files_are_listed_by_learn_and_data(lord, weeks):
    week = weeks / "week1"
    (week / "0" / "empty.png").write_bytes(b"")
    (week / "1" / "raw.dng").write_bytes(b"")
    code, out, error = lord(f"data {week}")
    assert code == 2
    assert "24 images, 12 to 12 a class" in out
    assert f"{week}/0/empty.png  the file is empty\n" in out
    check_one_line(error, "raw.dng", "and 1 more file")
    code, _, error = lord(f"learn {week} --state state --strict {MAKE}")
    assert code == 2
    check_one_line(error, "leave --strict out")
    code, out, error = lord(f"learn {week} --state state {MAKE}")
    assert code == 0, error
    assert f"{week}/0/empty.png  the file is empty\n" in out
    assert "session 1: 24 images" in out


def test_a_bad_file_with_a_line_break_in_its_name_has_one_row(lord, weeks):
    week = weeks / "week1"
    for name in ("line\nbreak.png", "no-break\u202fspace.png"):
        (week / "0" / name).write_bytes(b"")
    rows = [rf"'{week}/0/line\nbreak.png'  ", f"{week}/0/no-break\u202fspace.png  "]
    for command in ("data {}", "learn {} --state state " + MAKE, "evaluate state {}"):
        _, out, error = lord(command.format(week))
        lines = (out + error).splitlines()
        for row in rows:
            assert sum(line.startswith(row) for line in lines) == 1, (command, row)


def test_data_describes_a_folder_without_a_test_split(lord, weeks):
    shutil.copy(weeks / "week1" / "0" / "0.png", weeks / "week1" / "1" / "copy.png")
    code, out, error = lord(f"data {weeks}/week1")
    assert code == 0, error
    assert "25 images, 12 to 13 a class" in out
    assert "none: 'lord learn' needs none" in out


def test_a_doubtful_name_is_refused_without_a_terminal(lord, weeks):
    for week, name in (("week1", "teapot"), ("week2", "Teapot")):
        (weeks / week / "0").rename(weeks / week / name)
    assert lord(f"learn {weeks}/week1 --state state {MAKE}")[0] == 0
    code, _, error = lord(f"learn {weeks}/week2 --state state")
    assert code == 2
    check_one_line(error, "'Teapot'", "beside 'teapot'", "set --new-classes")
    code, _, error = lord(f"learn {weeks}/week2 --state state --no-new-classes")
    assert code == 2
    check_one_line(error, "'Teapot' would be new, and new classes are not allowed")
    code, out, _ = lord(f"learn {weeks}/week2 --state state --new-classes")
    assert (code, "3 classes (Teapot new)" in out) == (0, True)
