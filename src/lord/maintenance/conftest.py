"""Learners in folders: a head, a head with a student beside it, and a network from scratch."""

import shutil

import pytest
from PIL import Image

from lord.learner import learn_folder
from lord.learner.conftest import digits

NETWORK = {"network": "cnn", "width": 4, "epochs": 1, "buffer": 64, "candidates": 8}
KINDS = {
    "head": {"method": "slda", "backbone": None},
    "fused": NETWORK | {"method": "lord-fused", "pays": 0, "kept": 0, "backbone": None},
    "network": NETWORK,
}
"""Settings of a learner of each kind, over pixels."""
WEEKS = ("012", "13", "23")
"""Classes of each session."""


def write(folder, names, start):
    """Write 30 images of each digit, one folder per class."""
    for name in names:
        (folder / name).mkdir(parents=True)
        for number, image in enumerate(digits(name)[0][start : start + 30]):
            Image.fromarray(image[0].numpy()).save(folder / name / f"{number}.png")
    return folder


def learn(state, images, given=None, **options):
    return learn_folder(state, images, given or {}, resize=8, report=lambda _: None, **options)


@pytest.fixture(scope="package")
def weeks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weeks")
    return [write(folder / str(week), names, 30 * week) for week, names in enumerate(WEEKS)]


@pytest.fixture(scope="package")
def made(weeks, tmp_path_factory):
    """Return the folder of a learner of a kind after three sessions. It is made once."""
    folders = {}

    def make(kind):
        if kind not in folders:
            folders[kind] = tmp_path_factory.mktemp(kind) / "state"
            for week in weeks:
                learn(folders[kind], week, KINDS[kind] if week == weeks[0] else None)
        return folders[kind]

    return make


@pytest.fixture
def state(made, tmp_path):
    """state("head"): a copy of such a folder, to be changed."""

    def copied(kind):
        return shutil.copytree(made(kind), tmp_path / "state")

    return copied


@pytest.fixture(params=["head", pytest.param("fused", marks=pytest.mark.slow), "network"])
def each(request, state):
    """A copy of the folder of each kind of learner."""
    return state(request.param)
