import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from lord.costs import FlopCount, Meter, peak_bytes, saved_bytes, tensor_bytes, uncounted
from lord.networks import ResNet18, SmallCNN
from lord.networks.layernorm import Attention


@pytest.mark.parametrize(
    ("network", "images"),
    [
        (ResNet18(10, 4), torch.zeros(3, 3, 32, 32)),
        (SmallCNN(10, 4), torch.zeros(3, 1, 8, 8)),
    ],
)
@pytest.mark.parametrize("trained", [True, False])
def test_a_pass_costs_as_much_as_pytorchs_counter_says(network, images, trained):
    with FlopCount() as count:
        for _ in range(2):  # measured, then looked up
            before = count.total
            with FlopCounterMode(display=False) as counter, torch.set_grad_enabled(trained):
                out = network(images)
                if trained:
                    out.sum().backward()
            counted = count.total - before
        assert counted == counter.get_total_flops()


def test_the_protocols_network_at_width_16_has_its_known_cost():
    with FlopCount() as count, torch.device("meta"):
        ResNet18(10, 16)(torch.zeros(32, 3, 32, 32))
    assert count.total == 6_700_646_400


def test_a_frozen_layer_has_no_weight_gradient_and_bf16_counts_like_fp32():
    layer = nn.Linear(3, 5).requires_grad_(False)
    x = torch.zeros(2, 3, requires_grad=True)
    with FlopCount() as count:
        layer(x)
        with torch.autocast("cpu", torch.bfloat16):
            layer(x)
    assert count.total == 2 * (60 + 60)


@pytest.mark.parametrize("trained", [True, False])
def test_attention_products_and_padding_are_counted(trained):
    width, length = 32, 7
    attention, x = Attention(width, heads=2), torch.zeros(3, length, width)
    inner = attention.proj.in_features
    layers = 2 * 3 * length * width * (3 * inner + inner)
    products = 2 * 2 * 3 * length**2 * inner
    with FlopCount() as count, torch.set_grad_enabled(trained):
        attention(x.requires_grad_(trained))
    assert count.total == (layers + products) * (3 if trained else 1)
    with FlopCount() as count, torch.no_grad():
        for padding in (1, 0):
            before = count.total
            nn.Conv2d(4, 4, 3, padding=padding)(torch.zeros(1, 4, 8, 8))
            side = 6 + 2 * padding
            assert count.total - before == 2 * side * side * 4 * 4 * 9


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.ConvTranspose2d(3, 5, 3, stride=2, output_padding=1),
            nn.Flatten(2),
            nn.Conv1d(5, 6, 3),
        )
        self.weight = nn.Parameter(torch.zeros(6, 4))

    def forward(self, x):
        return self.layers(x).mean(2) @ self.weight


def test_convolutions_of_every_kind_are_counted_and_the_rest_is_reported():
    network, images = Plain(), torch.zeros(2, 3, 8, 8)
    with FlopCount() as count:
        network(images)
    with FlopCounterMode(display=False) as counter:
        network(images).sum().backward()
    bare = 2 * 2 * 6 * 4
    assert count.total == counter.get_total_flops() - 3 * bare
    with torch.no_grad(), FlopCount() as forward:
        network(images)
    assert uncounted(network, images) == pytest.approx(bare / (forward.total + bare))
    assert network.training
    encoder = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    assert uncounted(encoder, torch.zeros(2, 5, 16)) > 0.1
    assert uncounted(ResNet18(10, 4), torch.zeros(2, 3, 32, 32)) == 0


def test_nothing_is_counted_after_leaving_the_context():
    with FlopCount() as count:
        pass
    nn.Linear(3, 5)(torch.zeros(2, 3))
    assert count.total == 0


def test_each_phase_has_its_flops_and_seconds():
    layer = nn.Linear(3, 5)
    with Meter() as meter, torch.no_grad():
        with meter.phase("step"):
            layer(torch.zeros(2, 3))
        with meter.phase("evaluate"):
            layer(torch.zeros(4, 3))
    assert dict(meter.flops) == {"step": 60, "evaluate": 120}
    assert all(seconds > 0 for seconds in meter.seconds.values())


def test_a_shared_storage_is_counted_once():
    base = torch.zeros(10)
    assert tensor_bytes({"a": base, "b": [base[:3], 7, None], "c": (torch.zeros(2),)}) == 48


def test_peak_memory_grows_with_what_is_allocated():
    before = peak_bytes(torch.device("cpu"))
    block = torch.ones(before // 4 + 10_000_000)  # four bytes per number: more than the peak so far
    assert peak_bytes(torch.device("cpu")) > before
    del block


def test_a_step_saves_its_inputs_and_weights():
    layer = nn.Linear(30, 50, bias=False)
    x = torch.randn(7, 30)
    assert saved_bytes(lambda: layer(x).relu()) == 4 * (7 * 30 + 7 * 50)
    with torch.no_grad():
        assert saved_bytes(lambda: layer(x).relu()) == 0
