"""What a group of channels is made of: layers that write and read it; attention's heads."""

from dataclasses import dataclass, field

from torch import nn


@dataclass
class Members:
    """Layers that write a group, layers that read it, and where it lies.

    places: (tensor, dimension) -> (place, channel) of each of its channels there.
    """

    size: int
    writers: list[str] = field(default_factory=list)
    readers: list[str] = field(default_factory=list)
    places: dict[tuple[str, int], list[tuple[int, int]]] = field(default_factory=dict)
    rank: int = 0


def heads_of(name: str, count: int, width: int, order: dict[str, int]) -> Members:
    """Attention heads as channels: each has three parts of qkv's outputs, one of proj's inputs."""
    path = name.rpartition(".")[0]
    reader = f"{path}.proj" if path else "proj"
    members = Members(count, [name], [reader], rank=order[name])
    inner = count * width
    outputs = [(place, place % inner // width) for place in range(3 * inner)]
    members.places = {
        (f"{name}.weight", 0): outputs,
        (f"{reader}.weight", 1): [(place, place // width) for place in range(inner)],
    }
    if f"{name}.bias" in order:
        members.places[f"{name}.bias", 0] = outputs
    return members


def attentions(network: nn.Module) -> dict[str, tuple[int, int]]:
    """qkv layer of each attention that says what it has: its number of heads, their width."""
    found = {}
    for name, module in network.named_modules():
        qkv, proj = getattr(module, "qkv", None), getattr(module, "proj", None)
        heads = getattr(module, "num_heads", None)
        if isinstance(heads, int) and isinstance(qkv, nn.Linear) and isinstance(proj, nn.Linear):
            found[f"{name}.qkv".lstrip(".")] = (heads, proj.in_features // heads)
    return found
