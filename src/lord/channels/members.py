"""The members of a coupled group: layers that write and read it, and positions in tensors."""

from dataclasses import dataclass, field

from torch import nn

Cells = list[tuple[int, int]]
"""Pairs of a position along a dimension and the channel at that position."""

Place = tuple[str, int]
"""A tensor's name and one of its dimensions."""


@dataclass
class Members:
    """The layers that write and read a group, and where its channels lie.

    Attributes:
        size: number of channels, or of units.
        unit: layer channels of each: above 1 if they are kept or dropped together.
        writers: names of the layers that write them, in the order of the network.
        readers: names of the weights that read them, in the order of the network.
        cells: (tensor name, dimension) -> positions and channels along it.
        grouped: grouped convolution that reads them -> positions and channels of its inputs.
        rank: index of the first writer among the network's layers.
        inner: whether one layer writes them, or those of one attention module.
    """

    size: int
    unit: int = 1
    writers: list[str] = field(default_factory=list)
    readers: list[str] = field(default_factory=list)
    cells: dict[Place, Cells] = field(default_factory=dict)
    grouped: dict[str, Cells] = field(default_factory=dict)
    rank: int = 0
    inner: bool = False

    def add(self, tensor: str, dimension: int, cells: Cells) -> None:
        """Add positions along a dimension of a tensor."""
        self.cells.setdefault((tensor, dimension), []).extend(cells)

    def add_layer(self, layer: nn.Module, name: str, cells: Cells) -> None:
        """Add positions along dimension 0 of every parameter and buffer of a layer."""
        tensors = [*layer.named_parameters(recurse=False), *layer.named_buffers(recurse=False)]
        for leaf, tensor in tensors:
            if tensor.dim() > 0:
                self.add(f"{name}.{leaf}", 0, cells)

    def sort(self, ranks: dict[str, int]) -> None:
        """Put writers and readers in the order of the network, without repetitions.

        Args:
            ranks: name of a layer or parameter -> its index in the order of the network.
        """
        self.writers = sorted(set(self.writers), key=ranks.__getitem__)
        last = len(ranks)  # for a weight that is computed, which is refused later
        self.readers = sorted(set(self.readers), key=lambda name: ranks.get(name, last))
        self.rank = min((ranks[name] for name in self.writers), default=0)
