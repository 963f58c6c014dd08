"""Checkpoints: loaded states equal saved ones, and damaged files are noticed."""

import errno
import json
import os
import re
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from lord.conftest import refused
from lord.storage import (
    files,
    json_text,
    link_state,
    load_state,
    locked,
    previous,
    save_state,
    write_json,
)
from lord.storage.checkpoint import FORMAT, READABLE, _digest

plain = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False)
states = st.recursive(
    plain | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=4) | st.integers(0, 9), inner, max_size=3)
        | st.tuples(inner, inner)
    ),
    max_leaves=12,
)


@given(states)
def test_plain_values_come_back_as_they_were(tmp_path_factory, state):
    file = tmp_path_factory.mktemp("state") / "s.safetensors"
    save_state({"all": state}, file)
    loaded, note = load_state(file)
    assert loaded == {"all": state}
    assert repr(loaded) == repr({"all": state})  # tuples stay tuples, and True is not 1
    assert note is None


def test_tensors_come_back_with_type_values_and_memory_order(tmp_path):
    last = torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)
    state = {
        "last": last,
        "cut": torch.arange(12).view(3, 4)[:, 1:3],
        "bf16": torch.randn(3).bfloat16(),
        "bool": torch.tensor([True, False]),
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 3),
        "same": [last, last],
        "generator": torch.Generator().manual_seed(4).get_state(),
    }
    save_state(state, tmp_path / "s.safetensors")
    loaded, _ = load_state(tmp_path / "s.safetensors")
    for name in ("last", "cut", "bf16", "bool", "scalar", "empty", "generator"):
        assert loaded[name].dtype == state[name].dtype
        assert torch.equal(loaded[name], state[name])
    assert loaded["last"].stride() == last.stride()
    assert torch.equal(loaded["same"][1], last)
    assert len(load_file(tmp_path / "s.safetensors")) == 7  # equal memory is written once


def test_values_of_other_types_are_refused(tmp_path):
    with pytest.raises(TypeError, match="not function"):
        save_state({"f": lambda: 0}, tmp_path / "s.safetensors")
    with pytest.raises(TypeError, match="names"):
        save_state({(1, 2): 0}, tmp_path / "s.safetensors")
    assert not list(tmp_path.iterdir())


def saved_twice(folder):
    file = folder / "s.safetensors"
    for step in (1, 2):
        save_state({"step": step, "weights": torch.full((50,), float(step))}, file)
    return file


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_after_one_altered_byte_the_previous_checkpoint_is_read(tmp_path_factory, place, change):
    file = saved_twice(tmp_path_factory.mktemp("state"))
    content = bytearray(file.read_bytes())
    content[place % len(content)] ^= change
    file.write_bytes(content)
    state, note = load_state(file)
    if note is None:  # only padding of the header was altered
        assert state["step"] == 2
        assert torch.equal(state["weights"], torch.full((50,), 2.0))
    else:
        assert state["step"] == 1
        assert "is damaged" in note
        assert "the checkpoint before it was read instead" in note


@pytest.mark.parametrize("length", [0, 5, 100, 400])
def test_a_truncated_checkpoint_is_noticed(tmp_path, length):
    file = saved_twice(tmp_path)
    file.write_bytes(file.read_bytes()[:length])
    state, note = load_state(file)
    assert state["step"] == 1
    assert "is damaged" in note


def test_the_error_names_both_checkpoints_if_both_are_damaged(tmp_path):
    file = saved_twice(tmp_path)
    file.write_bytes(b"no")
    previous(file).write_bytes(b"no")
    both = re.compile(r"s\.safetensors' is damaged.*s-before\.safetensors' is damaged")
    with refused(None, problem=both):
        load_state(file)
    with refused(None, problem=re.compile("there is no checkpoint at .*t.safetensors")):
        load_state(tmp_path / "t.safetensors")


def saved_as(version, folder):
    text = json.dumps({"format": version, "state": {"value": 7}})
    file = folder / f"{version}.safetensors"
    save_file({}, file, {"lord": text, "digest": _digest(text, {})})
    return file


@pytest.mark.parametrize("version", READABLE)
def test_checkpoints_of_known_formats_are_read(tmp_path, version):
    assert load_state(saved_as(version, tmp_path)) == (7, None)


@pytest.mark.parametrize("version", [2, 3])
def test_checkpoints_of_formats_too_old_are_refused(tmp_path, version):
    with refused(None, problem=re.compile(f"has format {version}; this version reads 4, 5, 6")):
        load_state(saved_as(version, tmp_path))


def test_no_older_checkpoint_replaces_one_of_a_newer_version(tmp_path):
    file = saved_as(FORMAT + 1, tmp_path)
    save_state({"older": 1}, previous(file))
    with refused(
        None, problem=re.compile(f"a newer version .* wrote '.*', in format {FORMAT + 1}")
    ):
        load_state(file)


def test_a_damaged_checkpoint_does_not_replace_the_one_before_it(tmp_path):
    file = saved_twice(tmp_path)
    file.write_bytes(b"damaged")
    save_state({"step": 3}, file)
    assert [load_state(each)[0]["step"] for each in (file, previous(file))] == [3, 1]


def test_a_checkpoint_with_a_second_name_stays_when_another_is_written(tmp_path):
    file, second = saved_twice(tmp_path), tmp_path / "second.safetensors"
    link_state(file, second)
    link_state(file, second)  # nothing to do
    save_state({"step": 3}, file)
    save_state({"step": 4}, file)
    assert [load_state(each)[0]["step"] for each in (second, previous(file), file)] == [2, 3, 4]
    assert len(list(tmp_path.iterdir())) == 3
    file.write_bytes(b"damaged")
    link_state(file, second)
    assert load_state(second)[0]["step"] == 3


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "{}",
        "null",
        json.dumps({"format": FORMAT, "state": {"tensor": "9", "last": False}}),
        json.dumps({"format": FORMAT, "state": {"pickle": "cos\nsystem"}}),
        json.dumps({"format": FORMAT, "state": {"tensor": "0", "last": True}}),
        json.dumps({"format": FORMAT, "state": {"dict": [[[], {"value": 0}]]}}),
    ],
)
def test_hostile_content_with_a_correct_checksum_is_refused(tmp_path, text):
    tensors = {"0": torch.zeros(2)}
    header = {"lord": text, "digest": _digest(text, tensors)}
    save_file(tensors, tmp_path / "s.safetensors", header)
    with refused(None, problem=re.compile("is damaged")):
        load_state(tmp_path / "s.safetensors")


def test_other_tensors_may_be_no_checkpoint_at_all(tmp_path):
    save_file({"0": torch.zeros(2)}, tmp_path / "s.safetensors", {"lord": "{}"})
    with refused(None, problem=re.compile("is damaged, or is none of this package")):
        load_state(tmp_path / "s.safetensors")


def test_a_full_disk_does_not_damage_the_existing_checkpoint(tmp_path, monkeypatch):
    file = saved_twice(tmp_path)

    def full(path):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "_to_disk", full)
    with refused(None, problem=re.compile("cannot write the checkpoint .*No space left")):
        save_state({"step": 3}, file)
    assert load_state(file)[0]["step"] == 2
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.skipif(os.name != "posix", reason="limits of a process are POSIX only")
def test_a_file_that_has_no_room_is_named(tmp_path):
    import resource  # noqa: PLC0415 (POSIX only)

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(OSError, match="too large") as caught:
            files.write_text(tmp_path / "page.md", "x" * 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.filename == str(tmp_path / "page.md")
    assert not list(tmp_path.iterdir())


def test_the_only_whole_checkpoint_stays_until_another_is_written(tmp_path, monkeypatch):
    file, replace, found = saved_twice(tmp_path), Path.replace, []
    file.write_bytes(b"damaged")

    def watched(self, target):
        found.append(load_state(file)[0]["step"])
        replace(self, target)

    monkeypatch.setattr(Path, "replace", watched)
    save_state({"step": 3}, file, before=False)
    assert found == [1]
    assert load_state(file)[0]["step"] == 3
    assert not previous(file).exists()


def test_there_is_a_whole_file_at_every_moment(tmp_path, monkeypatch):
    file, replace, steps = saved_twice(tmp_path), Path.replace, []

    def watched(self, target):
        replace(self, target)
        steps.append(load_state(file))

    monkeypatch.setattr(Path, "replace", watched)
    save_state({"step": 3}, file)
    assert [(state["step"], note) for state, note in steps] == [(2, None), (3, None)]


@pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX only")
def test_names_that_are_not_utf_8_are_written_as_json(tmp_path):
    assert json_text({"file": "a.png"}) == '{"file":"a.png"}'
    assert json_text({os.fsdecode(b"caf\xe9"): (1, None)}) == '{"caf\ufffd":[1,null]}'
    write_json(tmp_path / "names.json", [os.fsdecode(b"caf\xe9")])
    assert json.loads((tmp_path / "names.json").read_text()) == ["caf\ufffd"]


@pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX only")
def test_a_folder_whose_checkpoints_could_not_be_read_again_is_refused_before_any_work(tmp_path):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    with refused(None, problem=re.compile("is not UTF-8")), locked(folder, "learning"):
        raise AssertionError("work began")
    assert not folder.exists()


def test_a_checkpoint_that_is_replaced_while_it_is_read_is_not_damaged(tmp_path, monkeypatch):
    file, map_file, written = saved_twice(tmp_path), torch.UntypedStorage.from_file, []

    def meanwhile(*args, **kwargs):  # safetensors opens the file again to map its tensors
        if not written:
            written.append(3)
            save_state({"step": 3, "weights": torch.full((70,), 3.0)}, file)
        return map_file(*args, **kwargs)

    monkeypatch.setattr(torch.UntypedStorage, "from_file", meanwhile)
    state, note = load_state(file)
    assert (written, state["step"], note) == ([3], 3, None)
