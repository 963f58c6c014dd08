import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lord.costs import FlopCount
from lord.methods.muon import ITERATIONS, QUINTIC, Muon, Orthogonalise
from lord.methods.optim import OptimizerConfig, Progress, ScheduledOptimizer
from lord.networks import ResNet18


def newton_schulz(matrix):
    """Iterate on the matrix itself, as is common."""
    a, b, c = QUINTIC
    tall = matrix.shape[0] > matrix.shape[1]
    x = (matrix.T if tall else matrix) / (matrix.norm() + 1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if tall else x


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 24), st.integers(1, 40), st.integers(0, 99))
def test_iterating_on_the_gram_matrix_is_iterating_on_the_matrix(rows, columns, seed):
    stack = torch.randn(3, rows, columns, generator=torch.Generator().manual_seed(seed))
    slow = torch.stack([newton_schulz(matrix.double()) for matrix in stack])
    torch.testing.assert_close(Orthogonalise()(stack).double(), slow, atol=2e-3, rtol=0)


def test_singular_values_become_nearly_one_and_singular_vectors_stay():
    stack = torch.randn(2, 16, 144, generator=torch.Generator().manual_seed(0))
    out = Orthogonalise()(stack)
    values = torch.linalg.svdvals(out)
    assert (values > 0.6).all()
    assert (values < 1.3).all()
    u, _, v = torch.linalg.svd(stack, full_matrices=False)
    turned = u.mT @ out @ v.mT
    assert (turned - torch.diag_embed(turned.diagonal(dim1=1, dim2=2))).abs().max() < 1e-3


def test_only_matrices_between_input_and_head_are_orthogonalised():
    network = ResNet18(10, 8)
    rest, matrices = (
        group["params"] for group in Muon(network.parameters(), 0.1, 0.6, 0).param_groups
    )
    inner = {n for n, p in network.named_parameters() if any(p is each for each in matrices)}
    assert all(name.startswith("stages") and "weight" in name for name in inner)
    assert len(inner) == 19  # 16 convolutions of 8 blocks, 3 shortcuts
    assert len(rest) + len(matrices) == len(list(network.parameters()))


def test_a_step_changes_inner_matrices_by_about_the_learning_rate_in_every_direction():
    network = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 8, bias=False), nn.Linear(8, 2))
    before = network[1].weight.detach().clone()
    optimizer = Muon(network.parameters(), lr=0.1, momentum=0.6, weight_decay=0)
    (100 * network(torch.randn(32, 4)).pow(2).sum()).backward()
    optimizer.step()
    values = torch.linalg.svdvals((network[1].weight - before).detach())
    assert values.max() < 0.13  # however large the gradient
    assert values[0] > 0.06


def test_its_arithmetic_is_counted():
    stack = torch.zeros(2, 4, 12)
    with FlopCount() as count, torch.no_grad():
        Orthogonalise()(stack)
    long, square = 2 * 4 * 4 * 12, 2 * 4**3
    products = ITERATIONS + (ITERATIONS - 1) + 2 * (ITERATIONS - 1)
    assert count.total == 2 * (2 * long + products * square)


@pytest.mark.parametrize("shape", [(6, 20), (20, 6)])
def test_weight_decay_is_decoupled(shape):
    network = nn.Sequential(nn.Linear(3, shape[1]), nn.Linear(shape[1], shape[0], bias=False))
    network.append(nn.Linear(shape[0], 2))
    steps = []
    for decay in (0.0, 0.5):
        weight = network[1].weight
        with torch.no_grad():
            weight.fill_(1).diagonal().fill_(2)
        before = weight.detach().clone()
        for parameter in network.parameters():
            parameter.grad = torch.ones_like(parameter)
        Muon(network.parameters(), 0.1, 0.6, decay).step()
        steps.append(weight.detach() - before)
    torch.testing.assert_close(steps[1] - steps[0], -0.05 * before)


def test_after_a_step_bf16_passes_use_the_new_weights():
    layer, x = nn.Linear(4, 1), torch.ones(2, 4)
    optimizer = ScheduledOptimizer(layer.parameters(), OptimizerConfig(lr=1.0))
    with torch.autocast("cpu", torch.bfloat16):  # as at the end of a task
        before = layer(x).mean()
        optimizer.update(before, Progress(0, 1))
        after = layer(x).mean()
    assert after < before - 4
