"""A command line typed in, and folders of photographs."""

import pytest
from PIL import Image

from lord.cli.main import main
from lord.data import DataConfig, load_images

DIGITS = load_images(DataConfig())
MAKE = "--network cnn --width 8 --resize 8 --epochs 2 --set buffer=64 --set candidates=8"
"""Makes a small learner."""


@pytest.fixture
def lord(monkeypatch, tmp_path, capsys):
    """lord("run --epochs 1"): exit code, output, error. Runs in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def type_in(line):
        try:
            main(line.split())
            code = 0
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
