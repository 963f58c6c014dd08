"""The members of a coupled group: layers that write and read it, and positions in tensors."""

from dataclasses import dataclass, field

from torch import nn

Cells = list[tuple[int, int]]
"""Pairs of a position along a dimension and the channel at that position."""


@dataclass
class Members:
    """The layers that write and read a group, and where its channels lie.

    Attributes:
        size: number of channels.
        writers: names of the layers that write them, in the order of the network.
        readers: names of the layers that read them, in the order of the network.
        cells: (tensor name, dimension) -> positions and channels along it.
        rank: index of the first writer among the network's layers.
    """

    size: int
    writers: list[str] = field(default_factory=list)
    readers: list[str] = field(default_factory=list)
    cells: dict[tuple[str, int], Cells] = field(default_factory=dict)
    rank: int = 0

    def add(self, tensor: str, dimension: int, cells: Cells) -> None:
        """Add positions along a dimension of a tensor."""
        self.cells.setdefault((tensor, dimension), []).extend(cells)

    def add_layer(self, layer: nn.Module, name: str, cells: Cells) -> None:
        """Add positions along dimension 0 of every parameter and buffer of a layer."""
        tensors = [*layer.named_parameters(recurse=False), *layer.named_buffers(recurse=False)]
        for leaf, tensor in tensors:
            if tensor.dim() > 0:
                self.add(f"{name}.{leaf}", 0, cells)


def find_attentions(network: nn.Module) -> dict[str, tuple[int, int]]:
    """Find attention modules with ``qkv``, ``proj`` and ``num_heads``, as timm's have them.

    Returns:
        Path of each qkv layer -> number of heads, and channels of a head.
    """
    found = {}
    for name, module in network.named_modules():
        qkv, proj = getattr(module, "qkv", None), getattr(module, "proj", None)
        heads = getattr(module, "num_heads", None)
        if isinstance(heads, int) and isinstance(qkv, nn.Linear) and isinstance(proj, nn.Linear):
            found[f"{name}.qkv".lstrip(".")] = (heads, proj.in_features // heads)
    return found


def attention_members(qkv: str, heads: int, width: int, ranks: dict[str, int]) -> Members:
    """Return the members of a group of attention heads.

    A head has positions in three parts of qkv's outputs, and in one of proj's inputs.

    Args:
        qkv: path of the layer that gives queries, keys and values.
        heads: number of heads.
        width: channels of a head.
        ranks: name of a layer or parameter -> its index in the order of the network.
    """
    path = qkv.rpartition(".")[0]
    proj = f"{path}.proj" if path else "proj"
    members = Members(heads, [qkv], [proj], rank=ranks[qkv])
    inner = heads * width
    outputs = [(position, position % inner // width) for position in range(3 * inner)]
    members.add(f"{qkv}.weight", 0, outputs)
    members.add(f"{proj}.weight", 1, [(position, position // width) for position in range(inner)])
    if f"{qkv}.bias" in ranks:
        members.add(f"{qkv}.bias", 0, outputs)
    return members
