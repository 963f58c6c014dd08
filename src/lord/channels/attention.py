"""Attention modules: which layers they have, and how many heads."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from lord.channels.members import Members

COUNTERS = ("num_heads", "n_heads", "heads", "nhead", "n_head", "num_attention_heads")
"""Attributes that may hold an attention module's number of heads."""
WIDTHS = ("attn_dim", "inner_dim", "all_head_size", "embed_dim", "d_model", "hidden_size", "dim")
"""Attributes that may hold the number of channels of all its heads together."""
ROLES = {name: name[0] for name in ("q", "query", "k", "key", "v", "value")}
AFFIXES = {"to", "w", "lin", "linear", "fc", "proj", "projection"}


@dataclass(frozen=True)
class Attention:
    """The heads of an attention module, and the layers that write them.

    Attributes:
        counter: the attribute with the number of heads.
        heads: number of heads.
        width: channels of all heads together.
        inputs: names of the layers that give queries, keys and values: ``("qkv",)``, or three.
    """

    counter: str
    heads: int
    width: int
    inputs: tuple[str, ...]

    @property
    def joint(self) -> bool:
        """Whether one layer gives queries, keys and values."""
        return len(self.inputs) == 1


def attention_of(module: nn.Module) -> Attention | None:
    """Return the heads of an attention module; None for any other module.

    It has an attribute with the number of heads, and linear layers. Either they are ``qkv`` and
    ``proj``, or one each gives queries, keys and values. Their names are such as ``q``, ``query``,
    ``q_proj``, ``to_q`` or ``wq``.
    """
    attributes = vars(module)
    counter = next((name for name in COUNTERS if isinstance(attributes.get(name), int)), None)
    if counter is None or isinstance(module, nn.MultiheadAttention):
        return None
    heads = attributes[counter]
    layers = {n: layer for n, layer in module.named_children() if isinstance(layer, nn.Linear)}
    if "qkv" in layers and "proj" in layers:
        return Attention(counter, heads, layers["proj"].in_features, ("qkv",))
    inputs = {role: name for name in layers if (role := _role(name))}
    widths = {layers[name].out_features for name in inputs.values()}
    if set(inputs) != {"q", "k", "v"} or len(widths) > 1:
        return None
    return Attention(counter, heads, widths.pop(), (inputs["q"], inputs["k"], inputs["v"]))


def _role(layer: str) -> str | None:
    """Return q, k or v if a layer's name says that it gives queries, keys or values."""
    words = [word for word in layer.lower().split("_") if word not in AFFIXES]
    return ROLES.get(words[0].removeprefix("w")) if len(words) == 1 else None


def find_attentions(network: nn.Module) -> dict[str, Attention]:
    """Return the attention modules of a network, by path."""
    every = ((name, attention_of(module)) for name, module in network.named_modules())
    return {name: attention for name, attention in every if attention}


def joint_members(qkv: str, attention: Attention, ranks: dict[str, int]) -> Members:
    """Return the members of a group of attention heads that one layer writes.

    A head has positions in three parts of qkv's outputs, and in one of proj's inputs.

    Args:
        qkv: path of the layer that gives queries, keys and values.
        attention: the heads.
        ranks: name of a layer or parameter -> its index in the order of the network.
    """
    path = qkv.rpartition(".")[0]
    proj = f"{path}.proj.weight".lstrip(".")
    members = Members(attention.heads, writers=[qkv], readers=[proj])
    inner, width = attention.width, attention.width // attention.heads
    outputs = [(position, position % inner // width) for position in range(3 * inner)]
    members.add(f"{qkv}.weight", 0, outputs)
    members.add(proj, 1, [(position, position // width) for position in range(inner)])
    if f"{qkv}.bias" in ranks:
        members.add(f"{qkv}.bias", 0, outputs)
    return members


def adopt_heads(module: nn.Module, path: str, tensors: Mapping[str, Tensor]) -> None:
    """Set the number of heads of a module, if it has any, to fit its weights.

    Args:
        module: any module. Its layers have the sizes that they had before.
        path: its path in the network, with a dot at the end; empty for the network.
        tensors: the parameters of the network, by name.
    """
    if isinstance(module, nn.MultiheadAttention):
        module.embed_dim = tensors[f"{path}out_proj.weight"].shape[1]
        module.num_heads = module.embed_dim // module.head_dim
        module.kdim = module.vdim = module.embed_dim
        if not module._qkv_same_embed_dim:
            module.kdim = tensors[f"{path}k_proj_weight"].shape[1]
            module.vdim = tensors[f"{path}v_proj_weight"].shape[1]
    elif attention := attention_of(module):
        # Code that divides its width by the number of heads may have no attribute for the rest.
        per_head = vars(module).setdefault("channels_per_head", attention.width // attention.heads)
        if attention.joint:
            width = tensors[f"{path}proj.weight"].shape[1]
        else:
            width = tensors[f"{path}{attention.inputs[0]}.weight"].shape[0]
        setattr(module, attention.counter, width // per_head)
        for name in WIDTHS:
            if vars(module).get(name) == attention.width:
                setattr(module, name, width)
