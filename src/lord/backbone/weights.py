"""Files of weights, read without running anything in them."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from lord.config import UserError, as_path, first_line
from lord.networks import head_name
from lord.networks.classifier import with_outputs

WRAPPERS = ("state_dict", "model", "model_state_dict")
"""Keys under which training scripts save a network's tensors."""


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Read the tensors of a file by name.

    Args:
        path: a safetensors file, or one of PyTorch without pickled code. It may hold the tensors
            under a key such as "state_dict". A prefix "module." of all names is removed.

    Raises:
        UserError: if it cannot be read.
    """
    file = as_path("weights", path)
    allowed = "a safetensors file, or a file of tensors that PyTorch saved"
    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        loaded = torch.load(file, weights_only=True, map_location="cpu")
    except FileNotFoundError:
        raise UserError("does not exist", field="weights", given=file) from None
    except UnpicklingError:  # PyTorch's message advises to load it without a restriction
        problem = "is no file of tensors, or holds code"
        raise UserError(problem, field="weights", given=file, allowed=allowed) from None
    except Exception as error:  # safetensors, zip and pickle have many errors
        problem = f"cannot be read: {first_line(error)}"
        raise UserError(problem, field="weights", given=file, allowed=allowed) from None
    for key in WRAPPERS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
            loaded = loaded[key]
    if not isinstance(loaded, Mapping) or not all(isinstance(v, Tensor) for v in loaded.values()):
        allowed = "tensors by name, as a network's state_dict()"
        raise UserError("holds something else", field="weights", given=file, allowed=allowed)
    prefix = "module." if all(name.startswith("module.") for name in loaded) else ""
    return {name.removeprefix(prefix): tensor for name, tensor in loaded.items()}


def with_weights(network: nn.Module, tensors: Mapping[str, Tensor], source: object) -> nn.Module:
    """Return a network with these weights. Its head gets as many outputs as the weights have.

    Args:
        network: it may be changed.
        tensors: by name, all that the network has.
        source: what an error names, such as a file.

    Raises:
        UserError: if they do not fit.
    """
    try:
        weight = tensors.get(f"{head_name(network)}.weight")
        if weight is not None and weight.dim() == 2:
            network = with_outputs(network, len(weight))
    except UserError:  # no head
        pass
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        shortened = reason if len(reason) < 250 else f"{reason[:250]}..."
        problem = f"does not fit the backbone: {shortened}"
        raise UserError(problem, field="weights", given=source) from None
    return network


def digest_of(network: nn.Module) -> str:
    """Return the SHA-256 over names, types, shapes and values of a network's tensors."""
    sha = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        sha.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        plain = tensor.detach().cpu().contiguous().reshape(-1)
        sha.update(plain.view(torch.uint8).numpy().data)
    return sha.hexdigest()
