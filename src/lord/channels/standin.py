"""Stand-ins for ``nn.MultiheadAttention``, whose inside the dependency graph does not see."""

import copy

from torch import Tensor, nn

from lord.channels.members import Members, Place

PARTS = ("query", "key", "value")


class StandIn(nn.Module):
    """Linear layers that connect the channels of an ``nn.MultiheadAttention`` as it does.

    Its outputs are others: only the graph of its channels is right.
    """

    def __init__(self, attention: nn.MultiheadAttention) -> None:
        super().__init__()
        plain = {
            n: v for n, v in vars(attention).items() if not n.startswith("_") and v is not None
        }
        # Without a bias, PyTorch's encoder layers do not go round this module.
        vars(self).update(plain, _qkv_same_embed_dim=attention._qkv_same_embed_dim)
        self.in_proj_bias = None
        width, bias = attention.embed_dim, attention.in_proj_bias is not None
        self.query = nn.Linear(width, width, bias)
        self.key = nn.Linear(attention.kdim, width, bias)
        self.value = nn.Linear(attention.vdim, width, bias)
        self.out = nn.Linear(width, width, bias)
        self.to(attention.out_proj.weight)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, *_: object, **settings: object
    ) -> tuple[Tensor, Tensor | None]:
        tokens = 1 if self.batch_first and query.dim() == 3 else 0
        keys = self.key(key).mean(tokens, keepdim=True)
        values = self.value(value).mean(tokens, keepdim=True)
        out = self.out(self.query(query) + keys + values)
        if not settings.get("need_weights", True):
            return out, None
        lengths = query.shape[tokens], key.shape[tokens]
        averaged = settings.get("average_attn_weights", True)
        heads = () if averaged else (self.num_heads,)
        batch = (query.shape[1 - tokens],) if query.dim() == 3 else ()
        return out, out.new_zeros(*batch, *heads, *lengths)


def with_stand_ins(network: nn.Module) -> tuple[nn.Module, dict[str, nn.MultiheadAttention]]:
    """Return a copy of a network with stand-ins, and what they stand for, by path.

    A network without ``nn.MultiheadAttention`` is returned as it is.
    """
    found = {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, nn.MultiheadAttention)
    }
    if not found:
        return network, found
    twin = copy.deepcopy(network)
    for name, attention in found.items():
        twin.set_submodule(name, StandIn(attention))
    return twin, found


def rename(members: Members, attentions: dict[str, nn.MultiheadAttention]) -> None:
    """Replace the names of stand-ins' layers by those of the attention modules' tensors."""
    places: dict[Place, list[tuple[str, int, int]]] = {}
    layers: dict[str, str] = {}
    for path, attention in attentions.items():
        places |= _places(path, attention)
        layers |= {f"{path}.{part}": path for part in PARTS} | {f"{path}.out": f"{path}.out_proj"}
    members.writers = [layers.get(name, name) for name in members.writers]
    members.readers = [places.get((n, 1), [(n, 1, 0)])[0][0] for n in members.readers]
    cells, members.cells = members.cells, {}
    for place, found in cells.items():
        for tensor, dimension, start in places.get(place, [(*place, 0)]):
            members.add(tensor, dimension, [(start + at, channel) for at, channel in found])


def _places(path: str, attention: nn.MultiheadAttention) -> dict[Place, list[tuple[str, int, int]]]:
    """Return where the channels of a stand-in's tensors lie in the attention's tensors.

    Returns:
        (tensor of the stand-in, dimension) -> tensors, dimensions and first positions.
    """
    width, packed = attention.embed_dim, attention._qkv_same_embed_dim
    places = {
        (f"{path}.out.weight", 0): [(f"{path}.out_proj.weight", 0, 0)],
        (f"{path}.out.weight", 1): [(f"{path}.out_proj.weight", 1, 0)],
        (f"{path}.out.bias", 0): [(f"{path}.out_proj.bias", 0, 0)],
    }
    for index, part in enumerate(PARTS):
        first = index * width
        weight = f"{path}.in_proj_weight" if packed else f"{path}.{part[0]}_proj_weight"
        rows = [(weight, 0, first if packed else 0)]
        if part != "query" and attention.bias_k is not None:
            rows.append((f"{path}.bias_{part[0]}", 2, 0))
        places[f"{path}.{part}.weight", 0] = rows
        places[f"{path}.{part}.weight", 1] = [(weight, 1, 0)]
        places[f"{path}.{part}.bias", 0] = [(f"{path}.in_proj_bias", 0, first)]
    return places
