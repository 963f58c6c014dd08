"""The means of what a method's steps return."""

from collections.abc import Sequence

import torch
from torch import Tensor

from lord.config import UserError

RESERVED = ("kind", "task", "step")
"""Names that the lines of metrics.jsonl have already."""


def scalar_values(pending: Sequence[dict[str, Tensor]]) -> dict[str, list[float]]:
    """Return the values of each scalar, over the steps that returned it.

    Waits for the device, once for each name.

    >>> scalar_values([{"loss": torch.tensor(2.0)}, {"loss": torch.tensor(4), "b": torch.ones(())}])
    {'loss': [2.0, 4.0], 'b': [1.0]}

    Raises:
        UserError: if a scalar has a reserved name.
    """
    by_name: dict[str, list[Tensor]] = {}
    for scalars in pending:
        for name, value in scalars.items():
            by_name.setdefault(name, []).append(value.detach())
    for name in RESERVED:
        if name in by_name:
            raise UserError(f"a step returned a scalar '{name}'", hint="choose another name")
    return {name: torch.stack(values).double().tolist() for name, values in by_name.items()}
