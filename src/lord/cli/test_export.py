"""Exports of heads, which have no buffer, and of methods whose buffer holds no whole images."""

import pytest
import torch

from lord.cli.conftest import DIGITS
from lord.cli.export import _images_of
from lord.learner import Deployed, Learner, export_int8, export_onnx
from lord.methods import deployable


def learned(**settings):
    """Return a learner of two digits, larger than a student beside a head takes them."""
    learner = Learner(network="cnn", width=4, epochs=1, **settings)
    rows = (DIGITS.train_labels < 2).nonzero().flatten()
    images = DIGITS.train_images[rows].repeat_interleave(2, 2)
    learner.learn(images, [str(n) for n in DIGITS.train_labels[rows].tolist()])
    return learner


def test_a_head_is_exported_in_eight_bits_by_its_held_out_images(lord, tmp_path):
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    learned(method="slda").save(tmp_path / "state.safetensors")
    code, out, error = lord(f"export {tmp_path} m8.onnx --int8")
    assert code == 0, error
    assert "held-out images 100.0 %, 100.0 % in fp32" in out


def test_a_buffer_of_small_images_does_not_check_an_export():
    small = {"student_size": 8, "buffer": 64, "candidates": 8, "pays": 0}
    tried = _images_of(learned(method="lord-fused", **small))
    assert tried.kind == "held-out images"
    assert tried.images.shape[1:] == (1, 16, 8)
    assert _images_of(learned(method="er", buffer=64)).kind == "images of the buffer"


def test_a_learner_whose_buffer_was_forgotten_is_checked_with_held_out_images():
    learner = learned(method="er", buffer=64)
    buffer = learner.method.buffer
    buffer.keep(torch.zeros(len(buffer), dtype=torch.bool))
    assert _images_of(learner).kind == "held-out images"


def test_a_learner_with_one_image_in_its_buffer_is_exported_to_pt2(lord, tmp_path):
    learner = learned(method="er", buffer=64)
    buffer = learner.method.buffer
    buffer.keep(torch.arange(len(buffer)) < 1)
    learner.save(tmp_path / "state.safetensors")
    code, _, error = lord(f"export {tmp_path} m.pt2")
    assert code == 0, error


def test_a_model_in_eight_bits_that_could_not_be_checked_is_not_written(tmp_path):
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    learner = learned(method="slda")
    tried = _images_of(learner)
    deployed = Deployed(deployable(learner.method))
    export_onnx(deployed, learner.classes, tried.images, tmp_path / "a.onnx")
    with pytest.raises(RuntimeError):
        export_int8(tmp_path / "a.onnx", tried.images, tried.labels[:-1], tmp_path / "b.onnx")
    assert [file.name for file in tmp_path.iterdir()] == ["a.onnx"]


def test_a_learner_without_held_out_images_cannot_be_exported_in_eight_bits(lord, tmp_path):
    learner = Learner("slda")
    learner.learn(torch.randint(0, 256, (8, 1, 8, 8), dtype=torch.uint8), ["a", "b"] * 4)
    learner.save(tmp_path / "state.safetensors")
    code, _, error = lord(f"export {tmp_path} m8.onnx --int8")
    assert code == 2
    assert "--int8: needs a learner's buffer or held-out images" in error
