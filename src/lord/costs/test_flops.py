import subprocess
import sys
import textwrap

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call, grad, vmap
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

from lord.costs import FlopCount
from lord.networks import ResNet18


class Network(nn.Module):
    """A convolution, attention over its positions, and a head."""

    def __init__(self, weights=True):
        super().__init__()
        self.weights = weights
        self.conv = nn.Conv2d(3, 16, 3)
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.head = nn.Linear(16, 5)

    def forward(self, x):
        tokens = self.conv(x).flatten(2).transpose(1, 2)
        mixed, _ = self.attention(tokens, tokens, tokens, need_weights=self.weights)
        return self.head(mixed.mean(1))


X = torch.randn(4, 3, 8, 8)
CONV, HEAD = nn.Conv2d(3, 6, 3), nn.Linear(6, 5)


def out(x=X):
    return HEAD(CONV(x).mean((2, 3)))


def attention():
    Network()(X).sum().backward()


def several_backwards():
    loss = out().sum()
    for _ in range(5):
        loss.backward(retain_graph=True)


def functional_convolution():
    F.conv2d(X, CONV.weight).sum().backward()


def constant_matrix():
    (out() @ torch.randn(5, 7)).sum().backward()


def gradients_per_sample():
    weights = dict(CONV.named_parameters())
    loss = lambda weights, x: functional_call(CONV, weights, (x[None],)).sum()  # noqa: E731
    vmap(grad(loss), in_dims=(None, 0))(weights, X)


def list_strides():
    layer = nn.Conv2d(3, 6, 3)
    layer.stride, layer.padding = [2, 2], [1, 1]
    layer(X).sum().backward()


def checkpointed():
    checkpoint(CONV, X.clone().requires_grad_(), use_reentrant=False).sum().backward()


def second_order():
    loss = out().square().sum()
    (gradient,) = torch.autograd.grad(loss, CONV.weight, create_graph=True)
    gradient.square().sum().backward()


def autocast():
    with torch.autocast("cpu", torch.bfloat16):
        out().sum().backward()


def inference():
    with torch.inference_mode():
        out()


def einsum():
    torch.einsum("bchw,dc->bdhw", X, torch.randn(5, 3))


CODE = [
    attention, several_backwards, functional_convolution, constant_matrix, list_strides,
    checkpointed, second_order, autocast, inference, einsum,
]  # fmt: skip


@pytest.mark.parametrize("run", CODE)
def test_any_code_costs_as_much_as_pytorchs_counter_says(run):
    with FlopCounterMode(display=False) as counter:
        run()
    with FlopCount() as count:
        run()
    assert count.total == counter.get_total_flops() > 0


def passes(network, x):
    """Return the FLOPs of a forward pass, and of a forward and a backward pass."""
    with torch.no_grad(), FlopCount() as forward:
        network(x)
    with FlopCount() as both:
        out = network(x)
        (out[0] if isinstance(out, tuple) else out).sum().backward()
    return forward.total, both.total


def test_attention_costs_the_same_whichever_kernel_runs():
    explicit, fused = Network(weights=True), Network(weights=False)
    assert passes(fused, X) == passes(explicit, X)
    assert passes(fused.eval(), X)[0] == passes(explicit, X)[0]  # a kernel for inference


def test_an_encoder_costs_the_same_in_evaluation_mode():
    encoder = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    x = torch.randn(3, 5, 16)
    costs = passes(encoder, x)
    assert passes(encoder.eval(), x) == costs


def rows(number, columns, trained=True):
    return torch.randn(number, columns, requires_grad=trained)


SQUARE = torch.eye(6)
PRODUCTS = [
    (lambda: rows(30, 4) @ torch.randn(4), 2 * 30 * 4),
    (lambda: torch.randn(9) @ torch.randn(9), 2 * 9),
    (lambda: torch.addmv(torch.randn(30), rows(30, 4), torch.randn(4)), 2 * 30 * 4),
    (lambda: torch.zeros(30, 7).addmm_(rows(30, 4, False), torch.randn(4, 7)), 2 * 30 * 4 * 7),
    (lambda: torch.zeros(2, 3, 3).baddbmm_(*torch.ones(2, 2, 3, 3)), 2 * 2 * 3 * 3 * 3),
    (lambda: torch.cdist(rows(30, 4), rows(40, 4)), 2 * 30 * 40 * 4),
    (lambda: torch.cdist(rows(3, 4), rows(5, 4), p=1), 2 * 3 * 5 * 4),
    (lambda: nn.Bilinear(3, 4, 5)(rows(7, 3), rows(7, 4)), 2 * 7 * 3 * 4 * 5),
    (lambda: nn.LSTM(6, 5, 2)(torch.randn(7, 2, 6)), 2 * 7 * 2 * 4 * 5 * (6 + 5 + 5 + 5)),
    (lambda: torch.linalg.cholesky(SQUARE), 6**3 // 3),
    (lambda: torch.linalg.solve(SQUARE, rows(6, 2)), 2 * 6**3 // 3 + 2 * 6 * 6 * 2),
    (lambda: torch.linalg.inv(SQUARE), 2 * 6**3),
]


@pytest.mark.parametrize(("run", "expected"), PRODUCTS)
def test_products_that_pytorchs_counter_does_not_know_are_counted(run, expected):
    with FlopCount() as count:
        run()
    assert count.total == expected


@pytest.mark.parametrize("kind", [nn.Conv2d, nn.ConvTranspose2d])
@pytest.mark.parametrize("groups", [1, 2, 6])
def test_a_grouped_convolutions_backward_pass_costs_two_forward_passes(kind, groups):
    layer = kind(6, 12, 3, stride=2, padding=1, groups=groups)
    forward, both = passes(layer, torch.randn(2, 6, 9, 8, requires_grad=True))
    assert both == 3 * forward
    assert passes(layer, torch.randn(2, 6, 9, 8))[1] == 2 * forward  # no gradient of the images


def test_gradients_of_each_sample_cost_as_much_as_those_of_the_batch():
    with FlopCount() as count:
        gradients_per_sample()
    assert count.total == 2 * 2 * X.shape[0] * 6 * 6 * CONV.weight.numel()


def test_a_recurrent_layers_backward_pass_costs_two_forward_passes():
    forward, both = passes(nn.LSTM(6, 5), torch.randn(7, 2, 6))
    assert both == 3 * forward


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_nested_sequences_are_counted_by_their_tokens():
    sequences = [torch.randn(2, 6), torch.randn(3, 6)]
    for layout in (torch.jagged, torch.strided):
        nested = torch.nested.nested_tensor(sequences, layout=layout, requires_grad=True)
        with FlopCount() as count:
            torch.nested.to_padded_tensor(HEAD(nested), 0.0).sum().backward()
        assert count.total == 3 * 2 * 5 * 6 * 5


def test_other_operators_are_estimated_by_the_elements_of_their_largest_tensor():
    x = torch.randn(10, 30)
    for run, elements in [
        (lambda: x.relu(), 300),
        (lambda: x.sum(), 300),
        (lambda: x.clone(), 0),
        (lambda: x.t(), 0),
        (lambda: torch._foreach_add([x, x], 1.0), 600),
        (lambda: torch.fft.fft(x.cfloat()), 300),
    ]:
        with FlopCount() as count:
            run()
        assert (count.total, count.others) == (0, elements)


def test_the_share_of_other_operators_in_a_step_of_the_protocols_network_is_small():
    network = ResNet18(10, 16).to("meta")
    with FlopCount() as count:
        network(torch.empty(32, 3, 32, 32, device="meta")).sum().backward()
    assert count.total == 6_700_646_400
    assert 0.002 < count.others / count.total < 0.01


@pytest.mark.slow
def test_compiled_networks_are_counted_uncompiled():
    network = nn.Sequential(nn.Conv2d(3, 6, 3), nn.Flatten(), nn.Linear(216, 4))
    costs = passes(network, X)
    compiled = torch.compile(network, backend="aot_eager")
    assert passes(compiled, X) == costs
    compiled(X).sum().backward()
    assert passes(compiled, X) == costs


@pytest.mark.slow
def test_the_first_conditional_of_a_process_runs_and_is_counted_with_its_gradients():
    code = """
        import sys, torch
        from lord.costs import FlopCount
        layer = torch.nn.Linear(3, 5)
        twice, half = (lambda x: 2 * layer(x)), (lambda x: 0.5 * layer(x))
        with FlopCount() as count:
            assert "torch._dynamo" not in sys.modules
            torch.cond(torch.tensor(True), twice, half, (torch.ones(2, 3),)).sum().backward()
        print(count.total, layer.weight.grad.sum().item())
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == ["180", "60.0"]  # its backward pass repeats the forward pass
