import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, vmap
from torch.utils.flop_counter import FlopCounterMode

from lord.costs import FlopCount, LayerCount
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
    with LayerCount() as count:
        for _ in range(2):  # measured, then looked up
            before = count.total
            with FlopCounterMode(display=False) as counter, torch.set_grad_enabled(trained):
                out = network(images)
                if trained:
                    out.sum().backward()
            counted = count.total - before
        assert counted == counter.get_total_flops()


def test_the_protocols_network_at_width_16_has_its_known_cost():
    with LayerCount() as count, torch.device("meta"):
        ResNet18(10, 16)(torch.zeros(32, 3, 32, 32))
    assert count.total == 6_700_646_400


def test_a_frozen_layer_has_no_weight_gradient_and_bf16_counts_like_fp32():
    layer = nn.Linear(3, 5).requires_grad_(False)
    x = torch.zeros(2, 3, requires_grad=True)
    with LayerCount() as count:
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
    with LayerCount() as count, torch.set_grad_enabled(trained):
        attention(x.requires_grad_(trained))
    assert count.total == (layers + products) * (3 if trained else 1)
    with LayerCount() as count, torch.no_grad():
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


def test_convolutions_of_every_kind_are_counted():
    network, images = Plain(), torch.zeros(2, 3, 8, 8)
    with LayerCount() as count:
        network(images)
    with FlopCounterMode(display=False) as counter:
        network(images).sum().backward()
    bare = 2 * 2 * 6 * 4
    assert count.total == counter.get_total_flops() - 3 * bare


def test_nothing_is_counted_after_leaving_the_context():
    with LayerCount() as count:
        pass
    nn.Linear(3, 5)(torch.zeros(2, 3))
    assert count.total == 0


LAYERS = [
    (nn.Conv2d(4, 6, 3, padding="same", dilation=2), (2, 4, 9, 8)),
    (nn.Conv2d(4, 6, (3, 2), padding="valid", stride=(2, 1)), (2, 4, 9, 8)),
    (nn.Conv2d(4, 8, 3, groups=4, padding=1, padding_mode="circular"), (2, 4, 9, 8)),
    (nn.ConvTranspose2d(4, 8, 3, stride=2, padding=1, groups=2), (2, 4, 9, 8)),
    (nn.Conv2d(4, 6, 3), (4, 9, 8)),
    (nn.Conv3d(2, 3, 2, stride=2), (2, 2, 5, 6, 7)),
    (nn.Linear(4, 3), (2, 5, 4)),
    (nn.Linear(4, 3), (4,)),
]


@pytest.mark.parametrize(("layer", "shape"), LAYERS)
@pytest.mark.parametrize("input_grad", [True, False])
def test_layers_of_any_geometry_cost_as_much_as_their_operators(layer, shape, input_grad):
    with LayerCount() as ours, FlopCount() as count:
        layer(torch.zeros(shape, requires_grad=input_grad)).sum().backward()
    assert ours.total == count.total


class Scaled(nn.Linear):
    """A layer of a user's kind, which takes a second argument."""

    def forward(self, x, scale):
        return super().forward(x) * scale


class Pair(nn.Linear):
    """A layer of a user's kind, which takes a tuple."""

    def forward(self, pair):
        return super().forward(pair[0]) + pair[1]


def test_layers_called_in_unusual_ways_do_not_stop_the_run():
    layer = nn.Conv2d(3, 6, 3)
    layer.stride, layer.padding = [2, 2], [1, 1]
    x = torch.zeros(1, 3, 8, 8)
    with LayerCount() as count, torch.no_grad():
        layer(x)
    assert count.total == 2 * 4 * 4 * 3 * 6 * 9
    linear = nn.Linear(3, 5)
    weights = dict(linear.named_parameters())
    loss = lambda weights, x: functional_call(linear, weights, (x,)).sum()  # noqa: E731
    with LayerCount():
        linear(input=torch.zeros(2, 3))
        Scaled(3, 5)(torch.zeros(2, 3), 2.0)
        Pair(3, 5)((torch.zeros(2, 3), torch.zeros(2, 5)))
        vmap(grad(loss), in_dims=(None, 0))(weights, torch.zeros(2, 3))
