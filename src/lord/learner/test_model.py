"""A trained network in a file."""

import json
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file, save_file

from lord.channels import Elastic, trace
from lord.config import UserError
from lord.conftest import refused
from lord.learner import Model, load_model, save_model
from lord.networks import NetworkConfig, build_network

CONFIG = NetworkConfig(network="cnn", width=8)
IMAGES = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (5, 1, 8, 8), dtype=np.uint8))


def narrow_model():
    network = build_network(CONFIG, classes=3, channels=1)
    network = Elastic(network, trace(network, torch.zeros(2, 1, 8, 8))).resize((4, 8, 8, 12))
    network(torch.rand(8, 1, 8, 8))  # changes the running statistics
    return Model(network.eval(), ("a", "b", "c"), (1, 8, 8), (0.3,), (0.4,), CONFIG)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    save_model(narrow_model(), path)
    return path


def test_a_narrow_model_is_loaded_with_all_it_needs(tmp_path):
    model = narrow_model()
    save_model(model, tmp_path / "model.safetensors")
    again = load_model(tmp_path)
    assert again.classes == ("a", "b", "c")
    assert sum(p.numel() for p in again.network.parameters()) == sum(
        p.numel() for p in model.network.parameters()
    )
    assert torch.allclose(again.predict(IMAGES), model.predict(IMAGES), atol=1e-6)


def test_what_is_no_image_is_refused(saved):
    model = load_model(saved)
    for wrong in (IMAGES.float(), [1], 1, [IMAGES[0].float()], IMAGES.repeat(1, 2, 1, 1)):
        with refused("images"):
            model.predict(wrong)


def test_images_of_any_size_are_resized(saved, tmp_path):
    model, large = load_model(saved), IMAGES.repeat_interleave(2, 2).repeat_interleave(2, 3)
    files = [tmp_path / f"{n}.png" for n in range(len(large))]
    pictures = [Image.fromarray(image[0].numpy()) for image in large]
    for file, picture in zip(files, pictures, strict=True):
        picture.save(file)
    small = [np.array(each.resize((8, 8), Image.Resampling.BILINEAR)) for each in pictures]
    wanted = model.predict(torch.from_numpy(np.stack(small))[:, None])
    for kind in (files, [*pictures[:2], files[2], large[3], large[4, 0].numpy()], large):
        torch.testing.assert_close(model.predict(kind), wanted)


def test_a_missing_model_is_named(tmp_path):
    with refused(None, problem=re.compile("there is no model at")):
        load_model(tmp_path / "nothing")


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_refused_in_one_line(saved, data, tmp_path_factory):
    content = bytearray(saved.read_bytes())
    cut = data.draw(st.integers(0, len(content) - 1))
    damaged = bytes(content[:cut]) if data.draw(st.booleans()) else b"\x80\x04" + bytes(content)
    path = tmp_path_factory.mktemp("damaged") / "model.safetensors"
    path.write_bytes(damaged)
    with refused(None, problem=re.compile("does not hold a model: ")):
        load_model(path)


@pytest.mark.parametrize(
    "change",
    [
        {"format": 99},
        {"classes": ["a"]},
        {"config": {"network": "vgg", "width": 8}},
        {"config": {"network": "resnet18", "width": 8}},
        {"shape": [3, 8, 8]},
        {"mean": [0.1, 0.2, 0.3]},
    ],
)
def test_a_header_that_does_not_fit_the_tensors_is_refused(saved, tmp_path, change):
    header = {
        "format": 1,
        "classes": ["a", "b", "c"],
        "shape": [1, 8, 8],
        "mean": [0.3],
        "std": [0.4],
        "config": {"network": "cnn", "width": 8},
    }
    path = tmp_path / "model.safetensors"
    save_file(load_file(saved), path, metadata={"lord": json.dumps(header | change)})
    with pytest.raises(UserError):
        load_model(path)
