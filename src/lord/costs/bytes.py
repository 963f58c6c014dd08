"""Memory: what a method keeps, and what the process took at most."""

import resource
import sys
from collections.abc import Mapping
from pathlib import Path
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
    """Largest memory so far, or since ``reset_peak``: the device's allocations on a GPU, the
    process's on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def reset_peak(device: torch.device) -> bool:
    """Let ``peak_bytes`` start anew; whether this machine can."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return True
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:  # Linux only
        return False
    return True
