"""What sessions learn of a folder that grows, holds bad files, or has new names."""

import re
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

from lord.config import NothingNewError, UserError
from lord.conftest import refused
from lord.data import BadFilesError, load_labelled
from lord.learner import STATE_FILE, Learner, learn_folder
from lord.learner.conftest import digits
from lord.learner.intake import read_to_start

KINDS = {
    "head": {"method": "slda", "backbone": None},
    "fused": {"method": "lord-fused", "network": "cnn", "width": 4, "epochs": 1, "backbone": None},
    "network": {"method": "lord+", "network": "cnn", "width": 4, "epochs": 1, "buffer": 32},
}


def photos(folder, *names, start=0, count=12):
    """Write images of each digit, a folder a class."""
    for name in names:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number, image in enumerate(digits(name[-1])[0][start : start + count], start):
            Image.fromarray(image[0].numpy()).save(folder / name / f"{number:03}.png")
    return folder


class Lines(list):
    def __call__(self, line):
        self.append(line)


@pytest.fixture
def learn(tmp_path):
    """learn(folder): learn it with the learner in state/; returns the learner and the lines."""

    def run(folder, given=KINDS["network"], **options):
        lines = Lines()
        state = options.pop("state", tmp_path / "state")
        options = {"resize": 8, "report": lines, **options}
        return learn_folder(state, folder, given, **options), lines

    return run


@pytest.mark.parametrize("name", ["head", "network", pytest.param("fused", marks=pytest.mark.slow)])
def test_a_folder_that_grew_is_learned_only_where_it_is_new(tmp_path, learn, name):
    folder = photos(tmp_path / "one", "a0", "b1")
    _, lines = learn(folder, KINDS[name])
    assert lines == []
    photos(folder, "a0", start=12, count=3)
    learner, lines = learn(folder, {})
    assert lines == ["learning 3 of 27 images; 24 were learned before"]
    assert [each.images for each in learner.sessions] == [24, 3]
    with pytest.raises(NothingNewError, match="was learned already, in session 1, 2"):
        learn(folder, {})
    learner, _ = learn(folder, {}, again=True)
    assert learner.sessions[-1].images == 27


def test_copies_are_learned_once_and_a_picture_in_two_classes_never(tmp_path, learn):
    folder = photos(tmp_path / "one", "a0", "b1")
    shutil.copy(folder / "a0" / "000.png", folder / "a0" / "copy.png")
    shutil.copy(folder / "a0" / "001.png", folder / "b1" / "clash.png")
    learner, lines = learn(folder)
    assert learner.sessions[0].images == 23
    assert any(re.search(r"a0/001\.png +the same picture is also in class 'b1'", x) for x in lines)
    assert any("clash.png" in line for line in lines)
    assert lines[-1] == "learning 23 of 24 images; 1 is a copy"
    with pytest.raises(BadFilesError) as error:
        learn(folder, strict=True, state=tmp_path / "other")
    assert len(error.value.files) == 2


def test_a_colour_picture_among_grey_ones_is_left_out(tmp_path, learn):
    folder = photos(tmp_path / "one", "a0", "b1")
    learn(folder)
    photos(folder, "a0", start=12, count=3)
    Image.new("RGB", (8, 8), "red").save(folder / "a0" / "red.png")
    learner, lines = learn(folder)
    assert learner.sessions[-1].images == 3
    assert any("red.png" in line and "in colour" in line for line in lines)


def test_pictures_in_two_classes_are_named_even_if_nothing_else_is_new(tmp_path, learn):
    folder = photos(tmp_path / "one", "a0", "b1")
    learn(folder)
    shutil.copy(folder / "a0" / "001.png", folder / "b1" / "clash.png")
    lines, clashes = [], []
    with pytest.raises(NothingNewError):
        learn_folder(tmp_path / "state", folder, {}, later=clashes, report=lines.append)
    assert any("clash.png" in line for line in lines)
    assert [Path(each.file).name for each in clashes] == ["001.png", "clash.png"]


def test_a_first_session_without_a_readable_picture_says_why(tmp_path):
    for name in ("a", "b"):
        (tmp_path / "one" / name).mkdir(parents=True)
        (tmp_path / "one" / name / "1.png").write_bytes(b"no image")
    settings = {"backbone": "efficientnet-lite0"}
    with pytest.raises(BadFilesError) as error:
        learn_folder(tmp_path / "state", tmp_path / "one", settings, report=lambda _: None)
    assert [each.reason for each in error.value.files] == ["unknown format"] * 2


def test_a_picture_moved_to_another_class_is_learned_under_its_new_label(tmp_path, learn):
    folder = photos(tmp_path / "one", "a0", "b1")
    learner, _ = learn(folder)
    held = {image.numpy().tobytes() for image in learner.held_out.columns["images"]}
    files = sorted((folder / "a0").iterdir())
    kept = [file for file in files if file.read_bytes() and pixels(file) not in held]
    aside = [file for file in files if pixels(file) in held]
    kept[0].rename(folder / "b1" / "moved.png")
    learner, lines = learn(folder)
    assert lines[1] == "1 of them had another label; the new label replaces it"
    assert learner.sessions[-1].images == 1
    for number, file in enumerate(aside):
        file.rename(folder / "b1" / f"held{number}.png")
    with refused(None, problem=re.compile(f"labels of held-out images corrected: {len(aside)}")):
        learn(folder)
    labels = Learner.load(tmp_path / "state").held_out.columns["labels"]
    assert labels.tolist() == [1] * len(labels)
    with pytest.raises(NothingNewError, match="was learned already"):
        learn(folder)


def pixels(file):
    with Image.open(file) as image:
        return image.tobytes()


@pytest.mark.parametrize("again", [False, True])
def test_an_interrupted_session_ends_with_its_images_and_new_ones_wait(tmp_path, learn, again):
    folder = photos(tmp_path / "one", "a0", "b1")
    learn(folder)
    if not again:
        photos(folder, "c2")
    other = shutil.copytree(tmp_path / "state", tmp_path / "other")
    whole, _ = learn(folder, again=again, state=other)
    interrupt(tmp_path / "state", folder, again)
    begun = Learner.load(tmp_path / "state")
    assert begun.unfinished_source == str(folder)
    photos(folder, "d3", count=2)
    (folder / "b1" / "000.png").rename(folder / "b1" / "renamed.png")
    learner, lines = learn(folder)
    assert lines[-1] == "new images still to learn: 2; repeat the command"
    assert "continuing the session that was interrupted" in lines
    assert learner.sessions[-1].images == whole.sessions[-1].images
    assert same(learner.method.state_dict(), whole.method.state_dict())
    assert learn(folder)[0].classes[-1] == "d3"


def interrupt(state, folder, again):
    """Begin a session, and stop it at its first checkpoint."""

    def stop(self, *args, pause, **options):
        def save_and_stop():
            pause()
            raise KeyboardInterrupt

        return learn(self, *args, pause=save_and_stop, **options)

    learn = Learner.learn
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Learner, "learn", stop)
        with pytest.raises(KeyboardInterrupt):
            learn_folder(state, folder, {}, again=again, every=0, report=lambda _: None)


def same(one, other):
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


def test_an_interrupted_session_whose_images_are_gone_says_which_folder_to_learn(tmp_path, learn):
    folder, other = photos(tmp_path / "one", "a0", "b1"), photos(tmp_path / "two", "c2")
    learn(folder)
    photos(folder, "c2", start=20)
    interrupt(tmp_path / "state", folder, again=False)
    with refused(
        None, problem=re.compile("two' does not hold its images"), hint=re.compile("one'")
    ):
        learn(other)
    (folder / "c2" / "020.png").unlink()
    with refused(None, problem=re.compile("one' lacks 1 of its 12 images")):
        learn(folder)
    learner, _ = learn(folder, abandon=True)
    assert learner.sessions[-1].images == 11


def test_a_state_without_a_record_of_images_knows_whole_folders(tmp_path, learn):
    folder = photos(tmp_path / "one", "a0", "b1")
    learner, _ = learn(folder)
    state = learner.state_dict() | {"seen": {}}
    state["sessions"][0]["key"] = load_labelled(folder, 8)[2]
    Learner.from_state(state).save(tmp_path / "state" / STATE_FILE)
    with pytest.raises(NothingNewError, match="in session 1"):
        learn(folder)
    photos(folder, "a0", start=12, count=3)
    learner, _ = learn(folder)
    assert learner.sessions[-1].images == 27
    with pytest.raises(NothingNewError):
        learn(folder)


def test_files_that_cannot_be_used_do_not_change_a_session(tmp_path, learn):
    clean = photos(tmp_path / "one", "a0", "b1")
    whole, _ = learn(clean, state=tmp_path / "clean")
    bad = shutil.copytree(clean, tmp_path / "bad")
    (bad / "a0" / "000a.png").write_bytes(b"")
    (bad / "a0" / "raw.cr2").write_bytes(b"x")
    for number in range(40):
        file = bad / "a0" / f"000b{number}.png"
        Image.effect_noise((300, 300), 9).save(file)
        file.write_bytes(file.read_bytes()[:-200])
    learner, lines = learn(bad)
    assert lines[0] == f"skipping 42 files of '{bad}':"
    assert any(line.endswith("the file is empty") for line in lines)
    assert same(learner.method.state_dict(), whole.method.state_dict())
    with pytest.raises(BadFilesError) as error:
        learn(bad, strict=True)
    assert len(error.value.files) == 42
    settings = {"backbone": "efficientnet-lite0"}
    assert read_to_start(settings, bad, None)[0] == read_to_start(settings, clean, None)[0]


def test_a_folder_of_bad_files_only_is_refused_in_one_line(tmp_path, learn):
    folder = tmp_path / "one"
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
        (folder / name / "1.png").write_bytes(b"x")
    problem = re.compile("no image of '.*one' can be used: '.*1.png': unknown format, and 1 more")
    with refused(None, problem=problem):
        learn(folder)
    shutil.rmtree(folder)
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "1.cr2").write_bytes(b"x")
    with refused(None, problem=re.compile("cannot read the format .cr2")):
        learn(folder)


@pytest.mark.parametrize("name", ["A0", "\u04300"])
def test_a_name_spelled_differently_is_asked_about(tmp_path, learn, name):
    learn(photos(tmp_path / "one", "a0", "b1"))
    folder = photos(tmp_path / "two", "x2")
    (folder / "x2").rename(folder / name)
    with refused(None, problem=re.compile("would become a new class beside 'a0'")):
        learn(folder)
    with pytest.raises(UserError):
        learn(folder, ask=lambda _: False)
    with refused(None, problem=re.compile("new classes are not allowed")):
        learn(folder, new_classes=False)
    asked = []
    learner, _ = learn(folder, ask=lambda question: asked.append(question) or True)
    assert (len(asked), len(learner.classes)) == (1, 3)
    learner, _ = learn(photos(tmp_path / "three", "a0", start=40), new_classes=False)
    assert len(learner.sessions) == 3
