"""Streams that plug-ins register."""

import re

import pytest

import lord
from lord.conftest import refused
from lord.data import LOADERS, DataConfig, images_by_task, load_images
from lord.streams import PRESETS, register_stream
from lord.studies.compare import load_all
from lord.training import compose

SMALL = {"epochs": 1, "width": 4, "network": "cnn", "threads": 1, "checkpoint_every": 0}


@pytest.fixture
def shade():
    """Register three domains. The returned list holds the shade of the third one."""
    digits, third = load_images(DataConfig()), [3]

    def load():
        pixels, labels = digits.train_images[:100], digits.train_labels[:100]
        domains = [(pixels // shade, labels) for shade in (1, 2, third[0])]
        return images_by_task([(domain, domain) for domain in domains])

    register_stream("shades", load, tasks=3, settings=SMALL | {"buffer": 64})
    yield third
    del PRESETS["shades"], LOADERS["shades"]


def test_a_registered_stream_is_a_preset_whose_runs_resume(shade, tmp_path, monkeypatch):
    config = compose("er", preset="shades")
    whole = lord.run(config, tmp_path / "whole")
    assert [len(row) for row in whole.matrices.class_il] == [1, 2, 3]
    assert (whole.preset, whole.settings["scenario"]) == ("shades", "given")

    def end_task(self, task):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(lord.methods.METHODS["er"].method, "end_task", end_task)
        with pytest.raises(KeyboardInterrupt):
            lord.run(config, tmp_path / "part")
    shade[0] = 5
    with refused("data", given="shades", problem=re.compile("the images differ")):
        lord.run(config, tmp_path / "part", resume=True)
    shade[0] = 3
    assert lord.run(config, tmp_path / "part", resume=True).matrices == whole.matrices


def test_the_images_of_a_registered_stream_are_loaded_once_for_all_runs(shade):
    config = compose("er", preset="shades")
    (images,) = load_all([config, compose("er", preset="shades", seed=1)]).values()
    assert images.kind == "stream 'shades' of a plug-in"
    shade[0] = 4
    assert load_images(DataConfig(data=f"memory:{images.key}")).key == images.key


def test_a_stream_of_this_program_only_is_refused_in_a_comparison(shade, tmp_path):
    with refused("preset", given="shades", hint=re.compile("`plugin`")):
        lord.compare([compose("er", preset="shades")], tmp_path)


def test_another_number_of_tasks_than_the_images_come_with_is_refused(shade):
    allowed = "3, the number of tasks that come with the images"
    with refused("tasks", given=2, allowed=allowed):
        lord.run(compose("er", {"tasks": 2}, preset="shades"))


@pytest.mark.parametrize("name", ["digits", "memory", "a:b", "-x", ""])
def test_a_name_that_is_taken_or_not_plain_is_refused(name):
    with refused("plugin", allowed=re.compile("a new name")):
        register_stream(name, lambda: None, tasks=2)
