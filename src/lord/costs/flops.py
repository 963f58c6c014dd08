"""Count the FLOPs of any code, operator by operator."""

import sys
from collections.abc import Callable
from enum import Enum, auto
from functools import cache
from types import FrameType, TracebackType
from typing import Any

import torch
from torch import Tensor
from torch._higher_order_ops.utils import _hop_compile_and_call
from torch._ops import HigherOrderOperator, OpOverload
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from lord.costs.formulas import FORMULAS, FREE, Formula
from lord.costs.stated import COUNTING


class FlopCount:
    """Context manager that counts the FLOPs of every operator that runs, in any code.

    The total is that of ``torch.utils.flop_counter.FlopCounterMode``, and includes products that
    PyTorch's counter does not know. A multiply-add is 2 FLOPs. Operators without a formula are not
    in the total. They are estimated at one operation per element of their largest tensor.

    Networks compiled by ``torch.compile`` run uncompiled meanwhile.

    >>> with FlopCount() as count, torch.no_grad():
    ...     _ = torch.nn.Linear(3, 5)(torch.zeros(2, 3))
    >>> count.total
    60

    Attributes:
        total: FLOPs of all operators with a formula.
        others: estimated operations of all operators without one.
    """

    def __init__(self) -> None:
        self.total = self.others = 0
        self.hidden = False

    def __enter__(self) -> "FlopCount":
        self._mode = _Operators(self)
        self._mode.__enter__()
        COUNTING.append(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        COUNTING.remove(self)
        self._mode.__exit__(kind, error, trace)


class _Operators(TorchDispatchMode):
    """Receives every operator, runs it and adds its cost to a count.

    PyTorch's compiler does not look into it. So the first operator imports the compiler, unless an
    optimizer has. That takes seconds.
    """

    supports_higher_order_operators = True

    def __init__(self, count: FlopCount) -> None:
        super().__init__()
        self.count = count

    @classmethod
    def ignore_compile_internals(cls) -> bool:
        """Return whether PyTorch may compile the frame that it is about to run.

        It compiles ``torch.cond`` and other operators that call functions even in uncompiled code,
        because their gradients need it. Their branches are counted as they run.
        """
        frame: FrameType | None = sys._getframe()
        while frame and frame.f_code is not _hop_compile_and_call.__code__:
            frame = frame.f_back
        return frame is not None

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if self.count.hidden:
            return func(*args, **kwargs)
        if isinstance(func, HigherOrderOperator):
            return self._run_branches(func, args, kwargs)
        formula, kind = _kind(func)
        if kind is Kind.COMPOSITE and not any(map(_nested, args)):
            with self:
                return func.decompose(*args, **kwargs)
        out = func(*args, **kwargs)
        try:
            flops = formula and int(formula(*args, **kwargs, out_val=out))
        except Exception:  # counting must not stop training, whatever a tensor's type is
            flops = None
        if flops is None:
            self.count.others += max(_elements(out), *map(_elements, args), 0)
        else:
            self.count.total += flops
        return out

    def _run_branches(self, func: Any, args: tuple[Any, ...], kwargs: Any) -> Any:
        """Run an operator that calls functions, such as the branches of ``torch.cond``."""

        def counted(value: Any) -> Any:
            return self._counted(value) if callable(value) else value

        return func(*tree_map(counted, args), **tree_map(counted, kwargs))

    def _counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        return run


class Kind(Enum):
    """How an operator is counted."""

    PLAIN = auto()
    COMPOSITE = auto()
    """By the operators that it consists of."""


def _nothing(*_: Any, **__: Any) -> int:
    return 0


@cache
def _kind(func: OpOverload) -> tuple[Formula | None, Kind]:
    """Return an operator's formula and kind."""
    name = func._overloadpacket.__name__
    if name in FREE or func.is_view or func.namespace in ("prim", "c10d", "profiler"):
        return _nothing, Kind.PLAIN
    formula = FORMULAS.get(func._overloadpacket)
    if formula is not None:
        return formula, Kind.PLAIN
    key = torch._C.DispatchKey.CompositeImplicitAutograd
    if torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), key):
        return None, Kind.COMPOSITE
    return None, Kind.PLAIN


def _nested(value: object) -> bool:
    return isinstance(value, Tensor) and value.is_nested


def _elements(value: object) -> int:
    if isinstance(value, Tensor):
        return value.numel()
    if isinstance(value, list | tuple):
        return sum(map(_elements, value))
    return 0
