"""Memory: what a method keeps, and what the process took at most."""

import resource
import sys
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor


def tensor_bytes(state: Any) -> int:
    """Bytes of all tensors in nested mappings and sequences, each storage counted once."""
    found: dict[int, int] = {}

    def visit(value: Any) -> None:
        if isinstance(value, Tensor):
            found[value.untyped_storage().data_ptr()] = value.untyped_storage().nbytes()
        elif isinstance(value, Mapping):
            for inner in value.values():
                visit(inner)
        elif isinstance(value, list | tuple):
            for inner in value:
                visit(inner)

    visit(state)
    return sum(found.values())


def peak_bytes(device: torch.device) -> int:
    """Largest memory so far: the device's allocations on a GPU, the process's on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def saved_bytes(run: Callable[[], object]) -> int:
    """Bytes of everything ``run`` keeps for its backward passes, weights included: what a step
    needs on top of the state, whatever the allocator makes of it."""
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        run()
    return sum(kept.values())
