"""New classes for a method that has learnt: what it knows moves into one with a wider head."""

from typing import Any

import torch
from torch import Tensor

from lord.config import UserError
from lord.methods.heads import head_of
from lord.methods.method import Method


def take_over(fresh: Method, learnt: Method) -> None:
    """Give ``fresh``, which has learnt nothing, all that ``learnt`` has.

    Both are of one kind and setting, but ``fresh`` may have more classes. Its head keeps what it
    was initialised with for those; logits stored earlier are 0 there.

    Args:
        fresh: a method as it was made, at any width.
        learnt: a method between tasks.
    """
    state = learnt.state_dict()
    before, now = learnt.context.classes, fresh.context.classes
    if before != now:
        head = head_of(learnt.student)
        if head.out_features != before:
            raise UserError(
                f"network {type(learnt.student).__name__}: new classes need the layer that gives "
                "the logits to be the last linear one it defines"
            )
        groups = learnt.descent.optimizer.param_groups  # the order its state goes by
        order = [parameter for group in groups for parameter in group["params"]]
        places = [at for at, p in enumerate(order) if p is head.weight or p is head.bias]
        initial = _initial(fresh)
        state = _wider(state, before, now, initial)
        for place in places:
            _pad_all(state["descent"]["torch"]["state"].get(place, {}), before, now)
    fresh.load_state_dict(state)


def _initial(fresh: Method) -> dict[str, Tensor]:
    """The head as initialised, at full width."""
    elastic = getattr(fresh, "elastic", None)
    tensors = elastic.full if elastic is not None else dict(fresh.student.named_parameters())
    names = [n for n in tensors if n.endswith((".weight", ".bias"))]
    head = head_of(fresh.student)
    path = next(n for n, m in fresh.student.named_modules() if m is head)
    return {n: tensors[n].detach().clone() for n in names if n.rpartition(".")[0] == path}


def _wider(value: Any, before: int, now: int, initial: dict[str, Tensor], key: Any = None) -> Any:
    if isinstance(value, dict):
        return {k: _wider(own, before, now, initial, k) for k, own in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_wider(own, before, now, initial) for own in value)
    if not isinstance(value, Tensor):
        return value
    if key in initial and value.shape[0] == before:
        rows = initial[key][before:now]
        rows = rows[:, : value.shape[1]] if value.dim() > 1 else rows
        return torch.cat([value.detach(), rows.to(value.device)])
    if key == "logits" and value.dim() == 2 and value.shape[1] == before:
        return _padded(value, 1, now)
    return value


def _pad_all(values: dict[str, Any], before: int, now: int) -> None:
    for name, value in values.items():
        if isinstance(value, Tensor) and value.dim() and value.shape[0] == before:
            values[name] = _padded(value, 0, now)


def _padded(value: Tensor, dimension: int, size: int) -> Tensor:
    shape = list(value.shape)
    shape[dimension] = size - shape[dimension]
    return torch.cat([value, value.new_zeros(shape)], dimension)
