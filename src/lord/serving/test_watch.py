"""A watch: what it learns, what it leaves for later, and how it stops."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from PIL import Image

from lord.cli.main import main
from lord.data import load_readable
from lord.learner import STATE_FILE, Learner, learn_folder
from lord.serving import arrivals
from lord.serving.arrivals import FILE, Arrivals
from lord.serving.conftest import digits
from lord.serving.watching import Watch

SETTINGS = {"network": "cnn", "width": 4, "epochs": 1, "method": "er", "buffer": 64}


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(arrivals, "SETTLE", 0.05)


def arrive(folder, *names, start=0, count=10):
    """Write pictures of some digits, a folder a class."""
    for name in names:
        (folder / name).mkdir(parents=True, exist_ok=True)
        images, _ = digits(name)
        for number in range(start, start + count):
            Image.fromarray(images[number][0].numpy()).save(folder / name / f"{number}.png")


@pytest.fixture
def inbox(tmp_path):
    """A folder of pictures that a learner has learned."""
    arrive(tmp_path / "inbox", "0", "1")
    learn_folder(tmp_path / "state", tmp_path / "inbox", SETTINGS, resize=8, report=lambda _: None)
    return tmp_path / "inbox"


def watch(inbox, *flags):
    """Run ``lord watch``, and return its exit code."""
    try:
        main(["watch", str(inbox), "--state", str(inbox.parent / "state"), *flags])
    except SystemExit as stop:
        return stop.code
    return 0


def sessions(inbox):
    return Learner.load(inbox.parent / "state").sessions


def test_once_learns_what_is_new_and_then_finds_nothing(inbox, capsys):
    assert watch(inbox, "--once") == 3
    arrive(inbox, "1", "2", start=10)
    assert watch(inbox, "--once") == 0
    out = capsys.readouterr().out
    assert "session 2: 20 images, 3 classes (2 new)" in out.splitlines()[-1]
    assert watch(inbox, "--once") == 3
    assert [each.images for each in sessions(inbox)] == [20, 20]


@pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX only")
def test_a_folder_whose_name_is_not_utf_8_is_remembered(inbox):
    inbox, state = inbox.rename(inbox.parent / os.fsdecode(b"caf\xe9")), inbox.parent / "state"
    seen = Arrivals(inbox, state)
    seen.scan()
    seen.scan()
    assert len(seen.new) == 20
    seen.note(seen.new)
    assert len(Arrivals(inbox, state).offered.learned) == 20


def test_bad_files_are_told_once_and_left_out(inbox, capsys):
    arrive(inbox, "2")
    (inbox / "2" / "bad.png").write_bytes(b"no image")
    assert watch(inbox, "--once") == 0
    assert "bad.png" in capsys.readouterr().out
    arrive(inbox, "3")
    assert watch(inbox, "--once") == 0
    assert "bad.png" not in capsys.readouterr().out
    assert [each.images for each in sessions(inbox)] == [20, 10, 10]


def test_a_picture_that_could_not_be_read_is_offered_again(inbox):
    arrive(inbox, "2")
    broken = inbox / "2" / "10.png"
    broken.symlink_to("/proc/self/mem")  # reading it is an error of the system
    assert watch(inbox, "--once") == 0
    assert [each.images for each in sessions(inbox)] == [20, 10]
    seen = Arrivals(inbox, inbox.parent / "state")
    seen.scan()
    seen.scan()
    assert (seen.new, seen.to_learn) == ([], [broken])


def test_a_picture_that_was_in_two_classes_is_learned_once_one_of_them_is_deleted(inbox):
    arrive(inbox, "1", start=10)
    shutil.copy(inbox / "1" / "10.png", inbox / "0" / "clash.png")
    assert watch(inbox, "--once") == 0
    (inbox / "0" / "clash.png").unlink()
    arrive(inbox, "0", start=20)
    assert watch(inbox, "--once") == 0
    assert [each.images for each in sessions(inbox)] == [20, 9, 11]


def test_a_picture_in_two_classes_that_came_alone_is_learned_once_a_copy_is_deleted(inbox, capsys):
    assert watch(inbox, "--once") == 3
    arrive(inbox, "1", start=10, count=1)
    copy = shutil.copy(inbox / "1" / "10.png", inbox / "0" / "clash.png")
    assert watch(inbox, "--once") == 2
    out = capsys.readouterr().out
    assert "1/10.png" in out
    assert "0/clash.png" in out
    assert watch(inbox, "--once") == 3
    copy.unlink()
    assert watch(inbox, "--once") == 0
    assert [each.images for each in sessions(inbox)] == [20, 1]


def test_a_copy_of_a_learned_picture_in_another_class_corrects_it_once_the_old_one_is_gone(
    inbox, capsys
):
    assert watch(inbox, "--once") == 3
    learner = Learner.load(inbox.parent / "state")
    given = load_readable(inbox, 8)
    learned = learner.held_out.rows_to_learn(given.images).tolist()
    row = next(row for row in learned if given.labels[row] == "0")
    old, new = Path(given.files[row]), inbox / "1" / "copy.png"

    def label():
        learner = Learner.load(inbox.parent / "state")
        return learner.classes[learner.seen.labels[learner.seen.rows(given.images[[row]])]]

    shutil.copy(old, new)
    arrive(inbox, "1", start=10, count=2)
    assert watch(inbox, "--once") == 0
    out = capsys.readouterr().out
    assert f"{old} " in out
    assert f"{new} " in out
    assert label() == "0"
    old.unlink()
    assert watch(inbox, "--once") == 0
    assert label() == "1"
    assert [each.images for each in sessions(inbox)] == [20, 2, 1]


def test_a_refused_session_is_tried_again_only_when_the_folder_changes(inbox, capsys):
    arrive(inbox, "2")
    assert watch(inbox, "--once", "--no-new-classes") == 2
    assert watch(inbox, "--once") == 3
    arrive(inbox, "3")
    assert watch(inbox, "--once") == 0
    assert sessions(inbox)[-1].new_classes == ["2", "3"]
    assert "2" in capsys.readouterr().err


def test_a_file_that_is_still_written_waits(inbox):
    seen = Arrivals(inbox, inbox.parent / "state")
    growing = inbox / "2" / "5.png"
    arrive(inbox, "2", count=5)
    with growing.open("wb") as file:
        for part in (b"first", b"second"):
            file.write(part)
            file.flush()
            seen.scan()
            assert growing not in seen.settled.values()
        assert seen.moving == 1
        seen.scan()
    assert growing in seen.settled.values()
    seen.scan()
    assert seen.moving == 0


def test_another_scan_forgets_files_that_are_gone(inbox):
    state = inbox.parent / "state"
    seen = Arrivals(inbox, state)
    for _ in range(2):
        seen.scan()
    seen.note(seen.new)
    assert len(seen.offered.learned) == 20
    for file in (inbox / "0").iterdir():
        file.unlink()
    for _ in range(2):
        seen.scan()
    seen.note([])
    assert len(Arrivals(inbox, state).offered.learned) == 10
    (state / FILE).write_text("damaged")
    assert not Arrivals(inbox, state).offered.learned


@pytest.mark.skipif(os.name != "posix", reason="limits of a process are POSIX only")
def test_pictures_that_a_full_disk_kept_from_being_learned_are_tried_again(inbox, capsys):
    import resource  # noqa: PLC0415 (POSIX only)

    assert watch(inbox, "--once") == 3
    arrive(inbox, "2")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    for _ in range(2):
        resource.setrlimit(resource.RLIMIT_FSIZE, (4000, before[1]))
        try:
            assert watch(inbox, "--once") == 2
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert "cannot write the checkpoint" in capsys.readouterr().err
    assert watch(inbox, "--once") == 0
    assert [each.images for each in sessions(inbox)] == [20, 10]


class Stop(BaseException):
    """Ends a watch in a test."""


def stop_at(until, said):
    """Return a function that keeps what a watch says, and ends it once it has said something."""

    def report(text):
        said.append(text)
        if until in text:
            raise Stop

    return report


def run(inbox, until, **settings):
    """Run a watch in this process until it has said something, and return what it said."""
    said = []
    with pytest.raises(Stop):
        Watch(inbox, inbox.parent / "state", report=stop_at(until, said), **settings).run()
    return said


def test_enough_pictures_are_learned_without_waiting_for_the_next_look(inbox):
    watch(inbox, "--once")
    later = threading.Timer(0.5, arrive, (inbox, "2"), {"count": 12})
    later.start()
    said = run(inbox, "session 2", every=3600.0, count=12)
    later.join()
    assert said[-1].startswith("session 2: 12 images")


def test_pictures_that_are_refused_do_not_stop_those_that_come_later(inbox):
    watch(inbox, "--once")
    arrive(inbox, "2")
    later = threading.Timer(0.6, arrive, (inbox, "1"), {"start": 20})
    later.start()
    said = run(inbox, "session 2", every=0.2, new_classes=False)
    later.join()
    assert sum("'2' would be new" in line for line in said) == 1
    assert said[-1].startswith("session 2: 10 images, 2 classes")


def test_an_interrupted_session_is_finished_and_the_rest_learned_after_it(inbox):
    state = inbox.parent / "state"
    watch(inbox, "--once")
    arrive(inbox, "2", "3")
    learner = Learner.load(state)
    begun = load_readable(inbox, 8, {str(file) for file in (inbox / "2").iterdir()})

    def pause():
        learner.save(state / STATE_FILE)
        raise Stop

    with pytest.raises(Stop):
        learner.learn(begun.images, begun.labels, pause=pause)
    run(inbox, "session 3", every=0.2)
    assert [each.new_classes for each in sessions(inbox)[1:]] == [["2"], ["3"]]


def test_a_session_that_cannot_go_on_is_dropped_by_another_command(inbox, capsys):
    state = inbox.parent / "state"
    arrive(inbox, "2")
    learner, begun = Learner.load(state), load_readable(inbox, 8)

    def pause():
        learner.save(state / STATE_FILE)
        raise Stop

    with pytest.raises(Stop):
        learner.learn(begun.images, begun.labels, pause=pause)
    (inbox / "2" / "0.png").unlink()
    assert watch(inbox, "--once") == 2
    assert "or drop it with 'lord learn --abandon'\n" in capsys.readouterr().err
    said = run(inbox, "a session was interrupted", every=0.1)
    assert said[-1].endswith("or drop it with `abandon`")


def test_a_folder_that_is_gone_for_a_while_is_waited_for(inbox):
    away = inbox.with_name("away")
    arrive(inbox, "2")
    inbox.rename(away)
    later = threading.Timer(0.5, away.rename, (inbox,))
    later.start()
    said = run(inbox, "session 2", every=0.1)
    later.join()
    assert "cannot read" in said[0]
    assert [each for each in said if "cannot read" in each] == said[:1]


def test_pictures_of_a_folder_that_was_gone_for_one_look_are_learned(inbox):
    watch(inbox, "--once")
    arrive(inbox, "2")
    watching = Watch(inbox, inbox.parent / "state", every=0.1, report=stop_at("session 2", []))
    for _ in range(2):
        watching.arrivals.scan()
    away = inbox.rename(inbox.with_name("away"))
    later = threading.Timer(0.5, away.rename, (inbox,))
    later.start()
    with pytest.raises(Stop):
        watching.run()
    later.join()
    assert [each.images for each in sessions(inbox)] == [20, 10]


@pytest.mark.slow
def test_a_signal_stops_a_watch_and_the_next_one_goes_on(inbox):
    arrive(inbox, "2", "3", count=40)
    state = inbox.parent / "state"
    command = [sys.executable, "-m", "lord", "watch", str(inbox), "--state", str(state)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    first = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    before = (state / STATE_FILE).stat().st_mtime_ns
    assert "watching" in first.stdout.readline()
    time.sleep(1)
    first.send_signal(signal.SIGTERM)
    out, _ = first.communicate(timeout=120)
    assert (first.returncode, out.splitlines()[-1].split()[-1]) == (0, "stopped")
    second = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    for line in second.stdout:
        if "session 2" in line:
            break
    second.send_signal(signal.SIGINT)
    second.communicate(timeout=120)
    assert second.returncode == 0
    assert (state / STATE_FILE).stat().st_mtime_ns > before
    assert len(sessions(inbox)) == 2
