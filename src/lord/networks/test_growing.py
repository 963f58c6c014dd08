"""Registered networks of group norm, attention and grouped convolutions grow in a whole run."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import lord
from lord.channels import trace
from lord.networks import register_network


class Hybrid(nn.Module):
    """A grouped convolution between group norms, then PyTorch's attention and its encoder layer."""

    def __init__(self, classes=10, width=16, channels=1):
        super().__init__()
        self.stem = nn.Conv2d(channels, width, 2, 2)
        self.norm = nn.GroupNorm(8, width)
        self.grouped = nn.Conv2d(width, 2 * width, 3, padding=1, groups=8)
        self.down = nn.Conv2d(2 * width, width, 1)
        self.attention = nn.MultiheadAttention(width, 4, batch_first=True)
        self.encoder = nn.TransformerEncoderLayer(width, 4, 2 * width, 0.0, batch_first=True)
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        x = F.relu(self.norm(self.stem(x)))
        x = x + self.down(F.relu(self.grouped(x)))
        x = x.flatten(2).transpose(1, 2)
        x = x + self.attention(x, x, x, need_weights=False)[0]
        return self.head(self.encoder(x).mean(1))


@pytest.mark.parametrize(
    ("method", "settings"),
    [("lord", {}), ("lord+", {}), ("lord", {"growth": "preserving", "momentum": 0.9})],
)
def test_a_network_of_groups_and_heads_grows_and_predicts(tmp_path, method, settings):
    register_network("hybrid", Hybrid)
    shared = {"network": "hybrid", "width": 16, "epochs": 1, "subset": 0.1, "candidates": 8}
    record = lord.run(lord.compose(method, shared | settings, preset="digits"), tmp_path / "run")
    assert len(record.matrices.class_il) == 5
    model = lord.load_model(tmp_path / "run")
    heads = model.network.attention.num_heads
    assert heads in (3, 4)
    assert model.network.encoder.self_attn.embed_dim == 4 * heads
    images = torch.randint(0, 256, (5, 1, 8, 8), dtype=torch.uint8)
    assert model.predict(images).isfinite().all()


def test_a_narrow_hybrid_has_fewer_groups_and_heads():
    ladder = lord.student.Ladder.for_network(trace(Hybrid(), torch.zeros(2, 1, 8, 8)), 10)
    elastic = lord.channels.Elastic(Hybrid(), ladder.channels)
    assert {ladder.counts(level)[0] for level in range(1, 11)} == {1, 2, 3, 4}
    narrow = elastic.resize(ladder.counts(1)).eval()
    assert (narrow.norm.num_groups, narrow.grouped.groups) == (2, 2)
    assert (narrow.attention.num_heads, narrow.encoder.self_attn.embed_dim) == (1, 4)
    images = torch.randn(2, 1, 8, 8)
    with torch.no_grad():  # PyTorch has a faster path for this
        fast = narrow(images)
    torch.testing.assert_close(fast, narrow(images).detach())
