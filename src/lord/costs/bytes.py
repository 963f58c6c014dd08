"""Memory: the size of a state, the memory a step needs, and the peak of the process."""

import resource
import sys
from collections.abc import Callable, Mapping

import torch
from torch import Tensor


def tensor_bytes(state: object) -> int:
    """Return the bytes of all tensors in nested mappings and sequences.

    A storage that several tensors share counts once.
    """
    found: dict[int, int] = {}

    def visit(value: object) -> None:
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
    """Return the peak memory so far: of the device's allocations on a GPU, else of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def saved_bytes(run: Callable[[], object]) -> int:
    """Return the bytes of all tensors that ``run`` saves for its backward passes.

    These are activations and weights. A step needs them in addition to the method's state.
    """
    saved: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        run()
    return sum(saved.values())
