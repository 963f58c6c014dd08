"""Measure from outside where the time of a training step goes."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from lord.bench.ceiling import Convolution

Parts = Mapping[str, Sequence[tuple[type, str]]]
"""Maps the name of a part to the functions it consists of, as pairs of class and attribute."""


class StepProfile:
    """Sum of the seconds of each part of a step.

    A pass is a call of a module from outside any module. The N-th pass of a step has the parts
    "forward N" and "backward N". A pass without gradients has no backward part. The other parts
    are "optimizer", those in ``parts``, and "other".

    Args:
        parts: additional parts.
        wait: called before each reading of the clock, such as ``torch.cuda.synchronize``.
    """

    def __init__(self, parts: Parts, wait: Callable[[], object] = lambda: None) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._parts, self._wait = parts, wait
        self._open = ["other"]
        self._passes = self._depth = 0
        self._since = 0.0

    @contextmanager
    def step(self) -> Iterator[None]:
        """Measure one step. Its passes are numbered from 1."""
        self._passes, self._open = 0, ["other"]
        with ExitStack() as stack:
            for name, methods in self._parts.items():
                for owner, method in methods:
                    stack.enter_context(self._watch(owner, method, name))
            stack.enter_context(self._watch(Tensor, "backward", "backward of the loss"))
            for hook in (
                register_module_forward_pre_hook(self._enter_module),
                register_module_forward_hook(self._leave_module, always_call=True),
                register_optimizer_step_pre_hook(lambda *_: self._push("optimizer")),
                register_optimizer_step_post_hook(lambda *_: self._pop()),
            ):
                stack.callback(hook.remove)
            self._wait()
            self._since = time.perf_counter()
            yield
            self._lap()

    def _lap(self) -> None:
        self._wait()
        now = time.perf_counter()
        self.seconds[self._open[-1]] += now - self._since
        self._since = now

    def _push(self, part: str) -> None:
        self._lap()
        self._open.append(part)

    def _pop(self) -> None:
        self._lap()
        self._open.pop()

    def _enter_module(self, module: nn.Module, inputs: object) -> None:
        if not self._depth:
            self._passes += 1
            self._push(f"forward {self._passes}")
        self._depth += 1

    def _leave_module(self, module: nn.Module, inputs: object, output: object) -> None:
        self._depth -= 1
        if self._depth:
            return
        self._pop()
        if isinstance(output, Tensor) and output.requires_grad:
            part = f"backward {self._passes}"
            # Autograd calls this when the backward of the pass begins.
            output.register_hook(lambda gradient: self._rename(part))

    def _rename(self, part: str) -> None:
        """Attribute the time from now on to another part."""
        self._lap()
        self._open[-1] = part

    @contextmanager
    def _watch(self, owner: type, method: str, part: str) -> Iterator[None]:
        """Attribute the time of every call of a method to a part."""
        original = getattr(owner, method)

        def watched(*args: Any, **kwargs: Any) -> Any:
            self._push(part)
            try:
                return original(*args, **kwargs)
            finally:
                self._pop()

        setattr(owner, method, watched)
        try:
            yield
        finally:
            setattr(owner, method, original)


def _padding(layer: nn.Conv2d) -> Any:
    """Return the padding of each side in pixels. PyTorch can also have "same" or "valid" there."""
    if layer.padding == "same":
        sides = zip(layer.kernel_size, layer.dilation, strict=True)
        return tuple(dilation * (side - 1) // 2 for side, dilation in sides)
    return (0, 0) if layer.padding == "valid" else layer.padding


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def convolution_calls(run: Callable[[], object]) -> dict[Convolution, int]:
    """Return every distinct convolution in ``run``, and how often it is called."""
    calls: defaultdict[Convolution, int] = defaultdict(int)

    def count(layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        if isinstance(layer, nn.Conv2d):
            x, back = inputs[0], torch.is_grad_enabled()
            call = Convolution(
                tuple(x.shape),
                tuple(layer.weight.shape),
                _hashable(layer.stride),
                _hashable(_padding(layer)),
                _hashable(layer.dilation),
                layer.groups,
                input_grad=back and x.requires_grad,
                weight_grad=back and layer.weight.requires_grad,
            )
            calls[call] += 1

    hook = register_module_forward_pre_hook(count)
    try:
        run()
    finally:
        hook.remove()
    return dict(calls)
