"""Outputs without a class: classes that were merged or removed leave their outputs behind."""

from collections.abc import Mapping

import torch
from torch import Tensor

Replaced = Mapping[int, int]
"""For each output without a class, the output of the class it was merged into; -1 if the class was
removed."""
LEAST, NEVER = 1e-30, -1e9
"""The smallest probability whose logarithm is taken; what is added to the logit of a class that
must not be predicted."""


def kept_outputs(replaced: Replaced, outputs: int) -> list[int]:
    """Return the outputs that have a class.

    >>> kept_outputs({1: 0, 3: -1}, 5)
    [0, 2, 4]
    """
    return [output for output in range(outputs) if output not in replaced]


def grouped(logits: Tensor, replaced: Replaced) -> Tensor:
    """Return logits in which the probability of a merged class is the sum over its outputs.

    Outputs without a class become very low. Nothing changes if each output has its class.

    >>> logits = torch.tensor([[0.5, 0.2, 0.3]]).log()
    >>> grouped(logits, {2: 1}).softmax(1).round(decimals=3)
    tensor([[0.5000, 0.5000, 0.0000]])
    >>> grouped(logits, {0: -1}).softmax(1).round(decimals=3)
    tensor([[0.0000, 0.4000, 0.6000]])

    Args:
        logits: N x outputs.
        replaced: see ``Replaced``.
    """
    if not replaced:
        return logits
    matrix = torch.eye(logits.shape[1], device=logits.device)
    removed = torch.zeros(logits.shape[1], device=logits.device)
    for output, home in replaced.items():
        matrix[output, output] = 0
        if home >= 0:
            matrix[output, home] = 1
        else:
            removed[output] = NEVER
    return ((logits.float() + removed).softmax(1) @ matrix).clamp(min=LEAST).log()


def merged(replaced: Replaced, label: int, into: int) -> dict[int, int]:
    """Return ``replaced`` after the class of an output was merged into that of another, or removed.

    >>> merged({3: 2}, 2, 0)
    {3: 0, 2: 0}

    Args:
        replaced: see ``Replaced``.
        label: the output that loses its class.
        into: the output of the other class; -1 if the class was removed.
    """
    moved = {output: into if home == label else home for output, home in replaced.items()}
    return {**moved, label: into}
