"""Time the training steps of several methods, and measure the limit of the hardware."""

import math
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import msgspec
import torch

from lord.bench.ceiling import bare_seconds, matmul_ceiling, wait
from lord.bench.split import StepProfile, convolution_calls
from lord.config import UserError
from lord.costs import FlopCount, saved_bytes, tensor_bytes
from lord.data import Augment, load_images
from lord.methods import METHODS, AnyMethod, Batch, Progress
from lord.rehearsal import Buffer
from lord.streams import Stream, Task, make_stream
from lord.training.config import RunConfig
from lord.training.setup import make_method, pick_device, threads

WARM_UP = 3
ROUNDS = 4
PARTS = {
    "data": ((Augment, "__call__"),),
    "buffer": ((Buffer, "draw"), (Buffer, "offer")),
}


class StepCost(msgspec.Struct, frozen=True, kw_only=True):
    """The cost of a method's step within one task. Seconds are medians over steps."""

    method: str
    task: int
    params: int
    """Parameters of the student, at its width in this task."""
    seconds: float
    images_per_s: float
    """Images of the stream; replayed images do not count."""
    flops: int
    bare_s: float
    """Seconds of the step's convolutions, run one by one without a training loop."""
    begin_s: float
    """Seconds before the first step: growth and teacher search."""
    begin_flops: int
    """FLOPs before the first step."""
    task_steps: int
    """Steps of the whole task in a run with this configuration."""
    saved_bytes: int
    """Bytes that a step saves for its backward passes."""
    state_bytes: int
    split: dict[str, float]
    """Seconds of each part of the median step of a separate measurement."""

    @property
    def overhead(self) -> float:
        """The share of a step outside forward passes, backward passes and the optimizer."""
        arithmetic = ("forward", "backward", "optimizer")
        rest = sum(s for part, s in self.split.items() if not part.startswith(arithmetic))
        return rest / sum(self.split.values())

    @property
    def begin_share(self) -> float:
        """The share of the task's time that passes before its first step."""
        return self.begin_s / (self.begin_s + self.task_steps * self.seconds)


class Bench(msgspec.Struct, frozen=True, kw_only=True):
    """The costs of several methods, timed in one process, and the limit of the hardware."""

    preset: str
    precision: str
    device: str
    threads: int
    batch: int
    ceiling: float
    """FLOP/s of a large matrix product in the same precision."""
    steps: list[StepCost]

    def total(self, method: str, pick: Callable[[StepCost], float]) -> float:
        """Return the sum of a cost over tasks. All tasks have the same weight."""
        return sum(pick(step) for step in self.steps if step.method == method)

    def share(self, method: str, reference: str, pick: Callable[[StepCost], float]) -> float:
        """Return a cost of a method divided by that of the reference; NaN if that is 0."""
        return _ratio(self.total(method, pick), self.total(reference, pick))

    def realisation(self, method: str, reference: str) -> tuple[float, float]:
        """Compare the saving in seconds with the saving in FLOPs; 1 is ideal.

        Returns:
            The share of the reference's seconds, divided by the share of the reference's FLOPs. The
            first number is for whole steps, the second for their bare convolutions.
        """
        flops = self.share(method, reference, lambda step: step.flops)
        whole = self.share(method, reference, lambda step: step.seconds)
        bare = self.share(method, reference, lambda step: step.bare_s)
        return _ratio(whole, flops), _ratio(bare, flops)


def _ratio(cost: float, reference: float) -> float:
    return cost / reference if reference else math.nan


def bench(
    configs: Sequence[RunConfig],
    *,
    steps: int = 20,
    task: int | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Bench:
    """Time ``steps`` steps of each method in each task of the stream.

    A few steps of each earlier task come first. So every task begins as in a run, with growth and
    teacher search. Methods take turns, so a change of the machine's load affects all of them.

    Args:
        configs: one for each method, with equal device, precision and threads.
        steps: timed steps of each method in each task.
        task: the only task to time, counted from 1; None for all tasks.
        say: called with a line of text for each task.

    Raises:
        UserError: if the stream has no task of this number, a method learns all tasks at once, or
            device, precision or threads differ.
    """
    first = configs[0].training
    for field in ("device", "precision", "threads"):
        for config in configs[1:]:
            if (value := getattr(config.training, field)) != getattr(first, field):
                allowed = f"{getattr(first, field)}, as in '{configs[0].label}'"
                raise UserError(field=field, given=value, allowed=allowed)
    device = pick_device(first.device)
    dtype = torch.bfloat16 if first.precision == "bf16" else torch.float32
    methods, stream = _made(configs, device)
    if task is not None and not 1 <= task <= len(stream.train):
        raise UserError(
            field="task", given=task, allowed=f"an integer from 1 to {len(stream.train)}"
        )
    found: list[StepCost] = []
    with threads(first.threads):
        for each in stream.train[:task]:
            timers = [
                _Timer(config.label, method, each, config.training.batch, device, dtype)
                for config, method in zip(configs, methods, strict=True)
            ]
            for timer in timers:
                timer.steps(WARM_UP)  # the first calls with new shapes prepare kernels
            say(f"task {each.index + 1} of {len(stream.train)}")
            if task is None or each.index + 1 == task:
                found += _timed(timers, steps)
            if each.index + 1 < (task or len(stream.train)):  # another one begins
                for timer in timers:
                    timer.end()
        return Bench(
            preset=configs[0].preset,
            precision=first.precision,
            device=str(device),
            threads=torch.get_num_threads(),
            batch=first.batch,
            ceiling=matmul_ceiling(device, dtype),
            steps=found,
        )


def _made(configs: Sequence[RunConfig], device: torch.device) -> tuple[list[AnyMethod], Stream]:
    """Make the methods and the stream.

    Raises:
        UserError: if a method learns all tasks at once.
    """
    methods = []
    for config in configs:
        if METHODS[config.method].method.traits.joint:
            raise UserError(
                "learns all tasks at once", field="method", given=config.method, hint="time 'sgd'"
            )
        data = load_images(config.data)
        stream = make_stream(data, config.stream, config.seed)
        method, stream = make_method(config, data, stream, device)
        methods.append(method)
    return methods, stream


def _timed(timers: "Sequence[_Timer]", steps: int) -> list[StepCost]:
    """Time the steps in rounds, in which the methods take turns."""
    for _ in range(ROUNDS):
        for timer in timers:
            timer.time(max(steps // ROUNDS, 1))
    return [timer.result() for timer in timers]


class _Timer:
    """Time one method in one task. Creating the timer begins the task."""

    def __init__(
        self,
        label: str,
        method: AnyMethod,
        task: Task,
        batch: int,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self.label = label
        self.method, self.task, self.batch = method, task, batch
        self.device, self.dtype = device, dtype
        self.seconds: list[float] = []
        self.taken = 0
        start = time.perf_counter()
        with FlopCount() as count, self._precision():
            method.begin_task(task)
        wait(device)
        self.begin_s, self.begin_flops = time.perf_counter() - start, count.total

    def _precision(self) -> AbstractContextManager[object]:
        bf16 = self.dtype == torch.bfloat16
        return torch.autocast(self.device.type, torch.bfloat16, enabled=bf16)

    def steps(self, number: int) -> None:
        """Take steps on consecutive images, and start again at the end of the task."""
        for _ in range(number):
            start = self.taken * self.batch % max(len(self.task.labels) - self.batch, 1)
            self.taken += 1
            rows = torch.arange(start, min(start + self.batch, len(self.task.labels)))
            rows = rows.to(self.device)
            with self._precision():
                batch = Batch(self.task.images[rows], self.task.labels[rows], rows)
                total = self.method.context.steps(self.task)
                self.method.step(batch, Progress(self.taken - 1, total))

    def time(self, number: int) -> None:
        """Take steps and record the seconds of each."""
        for _ in range(number):
            wait(self.device)
            start = time.perf_counter()
            self.steps(1)
            wait(self.device)
            self.seconds.append(time.perf_counter() - start)

    def end(self) -> None:
        """End the task, which can fill a buffer or change later steps.

        Methods that learn when a task ends are left out: their steps stay the same.
        """
        if self.method.traits.by_steps:
            with self._precision():
                self.method.end_task(self.task)

    def result(self) -> StepCost:
        """Return the median of the recorded seconds, with the other costs of a step."""
        seconds = statistics.median(self.seconds)
        with FlopCount() as count:
            calls = convolution_calls(lambda: self.steps(1))
        return StepCost(
            method=self.label,
            task=self.task.index + 1,
            params=sum(p.numel() for p in self.method.student.parameters()),
            seconds=seconds,
            images_per_s=self.batch / seconds,
            flops=count.total,
            bare_s=bare_seconds(calls, self.device, self.dtype),
            begin_s=self.begin_s,
            begin_flops=self.begin_flops,
            task_steps=self.method.context.steps(self.task),
            saved_bytes=saved_bytes(lambda: self.steps(1)),
            state_bytes=tensor_bytes(self.method.state_dict()),
            split=self._split(),
        )

    def _split(self) -> dict[str, float]:
        """Return the seconds of each part of the median step, the largest first."""
        every: list[dict[str, float]] = []
        for _ in range(max(len(self.seconds) // 2, 3)):
            split = StepProfile(PARTS, lambda: wait(self.device))
            with split.step():
                self.steps(1)
            every.append(dict(split.seconds))
        middle = sorted(every, key=lambda parts: sum(parts.values()))[len(every) // 2]
        return dict(sorted(middle.items(), key=lambda item: -item[1]))
