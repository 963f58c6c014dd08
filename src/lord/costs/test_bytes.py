import torch
from torch import nn

from lord.costs import peak_bytes, saved_bytes, tensor_bytes


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
