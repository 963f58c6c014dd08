"""How a frozen network is run on a CPU, whatever arithmetic the CPU offers."""

import pytest
import torch
from torch import nn

from lord.backbone.engine import Eager, Runtime, fastest


class Unexportable(nn.Module):
    """A network with a branch that depends on values."""

    def forward(self, x):
        return x.mean((2, 3)) * 3 if float(x.mean()) > 0 else x.amax((2, 3))


def network_and_images():
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 64, 3), nn.ReLU6(), nn.Conv2d(64, 64, 3), nn.Flatten()]
    return nn.Sequential(*layers).eval(), torch.randn(4, 3, 16, 16)


def test_a_cpu_runs_the_onnx_file_also_where_it_could_compute_in_bf16(tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    monkeypatch.setenv("LORD_CACHE", str(tmp_path))
    network, images = network_and_images()
    engine = fastest(network, images, "test")
    assert isinstance(engine, Runtime)
    with torch.no_grad():
        torch.testing.assert_close(engine(images), network(images), rtol=1e-4, atol=1e-4)


def test_a_network_that_cannot_be_exported_runs_in_fp32_on_a_cpu(tmp_path, monkeypatch):
    monkeypatch.setenv("LORD_CACHE", str(tmp_path))
    images = torch.rand(2, 3, 8, 8)
    engine = fastest(Unexportable(), images, "test")
    assert isinstance(engine, Eager)
    torch.testing.assert_close(engine(images), 3 * images.mean((2, 3)))
