"""New classes for a trained method: its state moves into a method with a wider head."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from lord.config import UserError
from lord.methods.heads import head_of
from lord.methods.method import AnyMethod


def take_over(fresh: AnyMethod, trained: AnyMethod) -> None:
    """Move everything ``trained`` has learned into ``fresh``, which may have more classes.

    The head keeps its initial weights for the new classes. In logits stored earlier, the logits of
    new classes are 0.

    Args:
        fresh: an untrained method of the same kind and context, at any width.
        trained: a method between tasks.

    Raises:
        UserError: if the head cannot be found, so that no class can be added.
    """
    state = trained.state_dict()
    before, now = trained.context.classes, fresh.context.classes
    if before != now:
        head = head_of(trained.student)
        if head.out_features != before:
            raise UserError(
                f"the head of {type(trained.student).__name__} is not its last linear layer",
                field="network",
                hint="define the layer that gives the logits last",
            )
        groups = trained.optimizer.torch.param_groups  # their order is that of the saved state
        order = [parameter for group in groups for parameter in group["params"]]
        places = [at for at, p in enumerate(order) if p is head.weight or p is head.bias]
        state = _widened(state, before, now, _initial_head(fresh))
        for place in places:
            _pad_rows(state["optimizer"]["state"].get(place, {}), before, now)
    fresh.load_state_dict(state)


def _initial_head(fresh: AnyMethod) -> dict[str, Tensor]:
    """Return the head's tensors as initialised, at full width, by their names."""
    elastic = getattr(fresh, "elastic", None)
    tensors = elastic.full if elastic is not None else dict(fresh.student.named_parameters())
    head = head_of(fresh.student)
    path = next(n for n, m in fresh.student.named_modules() if m is head)
    names = [f"{path}.weight", f"{path}.bias"]
    return {n: tensors[n].detach().clone() for n in names if n in tensors}


def _widened(
    value: Any, before: int, now: int, head: Mapping[str, Tensor], key: object = None
) -> Any:
    """Return a part of a state with its heads and stored logits padded for new classes."""
    if isinstance(value, dict):
        return {k: _widened(part, before, now, head, k) for k, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_widened(part, before, now, head) for part in value)
    if not isinstance(value, Tensor):
        return value
    if isinstance(key, str) and key in head and value.shape[0] == before:
        rows = head[key][before:now]
        rows = rows[:, : value.shape[1]] if value.dim() > 1 else rows
        return torch.cat([value.detach(), rows.to(value.device)])
    if key == "logits" and value.dim() == 2 and value.shape[1] == before:
        return _padded(value, 1, now)
    return value


def _pad_rows(values: dict[str, Any], before: int, now: int) -> None:
    """Pad the tensors of one parameter's optimizer state with zeros for new classes."""
    for name, value in values.items():
        if isinstance(value, Tensor) and value.dim() and value.shape[0] == before:
            values[name] = _padded(value, 0, now)


def _padded(value: Tensor, dim: int, size: int) -> Tensor:
    shape = list(value.shape)
    shape[dim] = size - shape[dim]
    return torch.cat([value.detach(), value.new_zeros(shape)], dim)
