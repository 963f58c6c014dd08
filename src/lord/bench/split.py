"""What the time of a training step goes on, seen from outside: no method knows it is watched."""

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

Parts = Mapping[str, Sequence[tuple[type, str]]]
"""Name of a part -> the methods whose calls it consists of, as (class, name of the method)."""


class StepProfile:
    """While entered, adds up seconds by what they were spent on.

    The parts are "forward N" and "backward N" of the N-th pass of the step, where a pass is a
    call of a module that no other module made; "optimizer"; the ones named in ``parts``; and
    "other". A pass that records no gradients has no backward.

    Args:
        parts: further parts.
        wait: called before each look at the clock, such as ``torch.cuda.synchronize``.
    """

    def __init__(self, parts: Parts, wait: Callable[[], object] = lambda: None) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._parts, self._wait = parts, wait
        self._open = ["other"]
        self._passes = self._depth = 0
        self._since = 0.0

    @contextmanager
    def step(self) -> Iterator[None]:
        """One step; its passes are numbered from 1."""
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

    def _enter_module(self, module: nn.Module, inputs: Any) -> None:
        if not self._depth:
            self._passes += 1
            self._push(f"forward {self._passes}")
        self._depth += 1

    def _leave_module(self, module: nn.Module, inputs: Any, output: Any) -> None:
        self._depth -= 1
        if self._depth:
            return
        self._pop()
        if isinstance(output, Tensor) and output.requires_grad:
            part = f"backward {self._passes}"
            # The gradient of a pass's output is there when that pass's backward begins.
            output.register_hook(lambda gradient: self._turn(part))

    def _turn(self, part: str) -> None:
        self._lap()
        self._open[-1] = part

    @contextmanager
    def _watch(self, owner: type, method: str, part: str) -> Iterator[None]:
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


def convolution_calls(run: Callable[[], object]) -> dict[tuple[Any, ...], int]:
    """Every distinct convolution in what ``run`` does, and how often it was called.

    Keys: input shape, weight shape, stride, padding, dilation, groups, whether the input's and
    the weight's gradient are wanted.
    """
    calls: defaultdict[tuple[Any, ...], int] = defaultdict(int)

    def count(layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        if isinstance(layer, nn.Conv2d):
            x, back = inputs[0], torch.is_grad_enabled()
            own = (layer.stride, layer.padding, layer.dilation, layer.groups)
            wants = (back and x.requires_grad, back and layer.weight.requires_grad)
            calls[(tuple(x.shape), tuple(layer.weight.shape), *own, *wants)] += 1

    hook = register_module_forward_pre_hook(count)
    try:
        run()
    finally:
        hook.remove()
    return dict(calls)
