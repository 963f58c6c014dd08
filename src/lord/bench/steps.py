"""How fast a step is, what its time goes on, and how far that is from what the machine can do."""

import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import msgspec
import torch

from lord.bench import StepProfile, bare_seconds, convolution_calls, matmul_ceiling, wait
from lord.config import UserError
from lord.costs import FlopCount, saved_bytes, tensor_bytes
from lord.data import Augment, load_images
from lord.methods import METHODS, Batch, Method
from lord.rehearsal import Buffer
from lord.streams import Stream, Task, make_stream
from lord.training.config import RunConfig
from lord.training.run import make_method, pick_device, threads

WARM_UP = 3
ROUNDS = 4
PARTS = {
    "data": ((Augment, "__call__"),),
    "buffer": ((Buffer, "draw"), (Buffer, "offer")),
}


class StepCost(msgspec.Struct, frozen=True, kw_only=True):
    """A method's step within one task. Seconds are medians over steps."""

    method: str
    task: int
    params: int
    """Of the student, at this task's width."""
    seconds: float
    images_per_s: float
    """Of the stream."""
    flops: int
    bare_s: float
    """The convolutions of the step run alone, one after another."""
    begin_s: float
    """Before the task: growth, teacher search."""
    begin_flops: int
    task_steps: int
    """Steps of the whole task, as configured."""
    saved_bytes: int
    """Kept in a step for its backward passes."""
    state_bytes: int
    split: dict[str, float]
    """Seconds by part, measured apart; they add up to a step of that measurement."""

    @property
    def overhead(self) -> float:
        """Share of the split that is no forward, backward or optimizer."""
        arithmetic = ("forward", "backward", "optimizer")
        rest = sum(s for part, s in self.split.items() if not part.startswith(arithmetic))
        return rest / sum(self.split.values())

    @property
    def begin_share(self) -> float:
        """Share of the whole task's time that goes by before its first step."""
        return self.begin_s / (self.begin_s + self.task_steps * self.seconds)


class Bench(msgspec.Struct, frozen=True, kw_only=True):
    """Steps of several methods in one process, beside the machine's ceiling."""

    preset: str
    precision: str
    device: str
    threads: int
    batch: int
    ceiling: float
    """FLOP/s of a large matrix product in the same precision."""
    steps: list[StepCost]

    def total(self, method: str, pick: Callable[[StepCost], float]) -> float:
        """Sum over tasks, each weighing the same."""
        return sum(pick(step) for step in self.steps if step.method == method)

    def share(self, method: str, reference: str, pick: Callable[[StepCost], float]) -> float:
        return self.total(method, pick) / self.total(reference, pick)

    def realisation(self, method: str, reference: str) -> tuple[float, float]:
        """How much of the FLOPs saved is not saved in seconds: share of the reference's seconds
        over share of its FLOPs, of whole steps and of their bare convolutions. 1 is ideal."""
        flops = self.share(method, reference, lambda step: step.flops)
        whole = self.share(method, reference, lambda step: step.seconds)
        bare = self.share(method, reference, lambda step: step.bare_s)
        return whole / flops, bare / flops


def bench(
    configs: Sequence[RunConfig],
    *,
    steps: int = 20,
    task: int | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Bench:
    """Time ``steps`` steps of each method in each task of the stream.

    Every task starts as in a run (growth, teacher search), from the few steps of the tasks before.
    Methods take turns, so that all see the same machine.

    Args:
        configs: one a method, alike but for the method.
        steps: timed ones, of each method in each task.
        task: the only task that is timed, counted from 1; None for all.
        say: told in one line of each task.

    Raises:
        UserError: if there is no such task.
    """
    first = configs[0].training
    device = pick_device(first.device)
    dtype = torch.bfloat16 if first.precision == "bf16" else torch.float32
    methods, stream = _made(configs, device)
    if task is not None and not 1 <= task <= len(stream.train):
        raise UserError(f"task: expected 1 to {len(stream.train)}, got {task}")
    found = []
    with threads(first.threads):
        for each in stream.train[:task]:
            benches = [_Bench(m, each, first.batch, device, dtype) for m in methods]
            for one in benches:
                one.steps(WARM_UP)  # kernels for new shapes are prepared once
            say(f"task {each.index + 1} of {len(stream.train)}")
            if task is not None and each.index + 1 < task:
                continue
            for _ in range(ROUNDS):
                for one in benches:
                    one.time(max(steps // ROUNDS, 1))
            found += [one.result() for one in benches]
        return Bench(
            preset=configs[0].preset,
            precision=first.precision,
            device=str(device),
            threads=torch.get_num_threads(),
            batch=first.batch,
            ceiling=matmul_ceiling(device, dtype),
            steps=found,
        )


def _made(configs: Sequence[RunConfig], device: torch.device) -> tuple[list[Method], Stream]:
    methods = []
    for config in configs:
        if METHODS[config.method].joint:
            raise UserError(f"'{config.method}' learns all tasks at once: bench 'sgd' instead")
        data = load_images(config.data)
        stream = make_stream(data, config.stream, config.seed)
        method, stream = make_method(config, data, stream, device)
        methods.append(method)
    return methods, stream


class _Bench:
    """One method in one task; making it begins the task."""

    def __init__(
        self,
        method: Method,
        task: Task,
        batch: int,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
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
        for _ in range(number):
            start = self.taken * self.batch % max(len(self.task.labels) - self.batch, 1)
            self.taken += 1
            rows = torch.arange(start, min(start + self.batch, len(self.task.labels)))
            rows = rows.to(self.device)
            with self._precision():
                self.method.step(Batch(self.task.images[rows], self.task.labels[rows], rows))

    def time(self, number: int) -> None:
        for _ in range(number):
            wait(self.device)
            start = time.perf_counter()
            self.steps(1)
            wait(self.device)
            self.seconds.append(time.perf_counter() - start)

    def result(self) -> StepCost:
        seconds = statistics.median(self.seconds)
        with FlopCount() as count:
            calls = convolution_calls(lambda: self.steps(1))
        return StepCost(
            method=self.method.name,
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
        every: list[dict[str, float]] = []
        for _ in range(max(len(self.seconds) // 2, 3)):
            split = StepProfile(PARTS, lambda: wait(self.device))
            with split.step():
                self.steps(1)
            every.append(dict(split.seconds))
        middle = sorted(every, key=lambda parts: sum(parts.values()))[len(every) // 2]
        return dict(sorted(middle.items(), key=lambda item: -item[1]))
