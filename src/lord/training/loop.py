"""The loop: tasks, epochs, batches. It knows no method and no file."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from typing import Any, Protocol

import torch
from torch import Generator, Tensor

from lord.config import UserError
from lord.costs import Meter
from lord.evaluation import Matrices, Scores, score
from lord.methods import Batch, Method, moved, recomputed_statistics, take_step
from lord.networks import seeded
from lord.streams import Stream, Task, batches

INTERVAL = 25
"""Steps between two looks at the loss: each look waits for the device."""
TRAINING = ("search", "step", "recompute")
"""Phases of a run that are its training: what it is billed for. Evaluation is apart."""
STATE = (
    *("steps", "images", "task", "epoch", "place", "begun", "order", "pending"),
    *("untrained", "before", "between"),
)
"""Attributes of a loop that are saved as they are."""


class Watcher(Protocol):
    """Told of what happens, at intervals: a progress bar, a file."""

    def task_begins(self, task: int, tasks: int, images: int, done: int) -> None: ...
    def trained(self, task: int, step: int, images: int, scalars: dict[str, float]) -> None: ...
    def task_ended(self, task: int, trained: Scores, recomputed: Scores | None) -> None: ...


class Loop:
    """Trains a method on a stream and scores it after each task.

    Args:
        method: freshly made, or with a loaded state.
        stream: what it learns.
        epochs, batch: passes over each task, images of a step.
        evaluate_every: steps between evaluations within a task; 0 for none.
        generator: on the CPU, for the order of images.
        meter: entered by the caller; phases are those of training, and evaluate.
        autocast: makes the context passes run in.
        watcher: told at intervals.
    """

    def __init__(
        self,
        method: Method,
        stream: Stream,
        *,
        epochs: int,
        batch: int,
        generator: Generator,
        meter: Meter,
        evaluate_every: int,
        autocast: Callable[[], AbstractContextManager[object]],
        watcher: Watcher,
    ) -> None:
        self.method, self.stream = method, stream
        self.epochs, self.batch, self.generator = epochs, batch, generator
        self.seed = generator.initial_seed()
        self.meter, self.autocast, self.watcher = meter, autocast, watcher
        self.pause: Callable[[], None] = lambda: None
        """Called between steps, where ``state_dict`` is all there is to go on from."""
        self.evaluate_every = evaluate_every
        self.steps = self.images = 0
        self.task = self.epoch = self.place = 0
        """Where it is: task, epoch within it, batch within that."""
        self.begun = False
        self.order: Tensor | None = None
        """Of this epoch's images."""
        self.pending: list[dict[str, Tensor]] = []
        """What steps reported since the last look."""
        self.scores: list[tuple[Scores, Scores | None]] = []
        self.untrained: list[float] = []
        self.before: list[float] = []
        self.between: list[tuple[int, list[float]]] = []

    def run(self) -> Matrices:
        """Train to the end, from wherever it is."""
        if not self.untrained:
            self.untrained = [self._unseen(task) for task in self.stream.test]
        while self.task < len(self.stream.train):
            task = self.stream.train[self.task]
            self._train(task)
            self._score(task)
            self.task, self.epoch, self.begun = self.task + 1, 0, False
            self.pause()
        trained = [scores for scores, _ in self.scores]
        recomputed = [scores for _, scores in self.scores if scores]
        return Matrices(
            [scores.class_il for scores in trained],
            [scores.task_il for scores in trained],
            [scores.class_il for scores in recomputed] or None,
            [scores.task_il for scores in recomputed] or None,
            before=self.before,
            untrained=self.untrained,
            between=self.between,
        )

    def state_dict(self) -> dict[str, Any]:
        """Everything that decides how the run goes on, and what it has found."""
        own = {name: getattr(self, name) for name in STATE}
        return own | {
            "method": self.method.state_dict(),
            "generator": self.generator.get_state(),
            "scores": [[scores and vars(scores) for scores in pair] for pair in self.scores],
            "flops": dict(self.meter.flops),
            "seconds": dict(self.meter.seconds),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state saved by a loop over the same stream with the same settings."""
        for name in STATE:
            setattr(self, name, state[name])
        self.pending = moved(self.pending, self.method.device)
        self.method.load_state_dict(state["method"])
        self.generator.set_state(state["generator"])
        scores = [[own and Scores(**own) for own in pair] for pair in state["scores"]]
        self.scores = [(trained, recomputed) for trained, recomputed in scores]
        self.meter.flops.update(state["flops"])
        self.meter.seconds.update(state["seconds"])

    def _train(self, task: Task) -> None:
        count = len(task.labels)
        epoch = batches(count, self.batch)
        done = self.epoch * count + sum(len(rows) for rows in epoch[: self.place])
        total = self.epochs * sum(len(rows) for rows in epoch)
        self.watcher.task_begins(task.index, len(self.stream.train), total, done)
        if not self.begun:
            self.before.append(self._unseen(self.stream.test[task.index]))
            with self._spent_on("search"):
                self.method.begin_task(task)
            self.begun = True
        while self.epoch < self.epochs:
            if self.order is None:
                self.order = torch.randperm(count, generator=self.generator)
            for rows in epoch[self.place :]:
                self._step(task, self.order[rows].to(task.labels.device, non_blocking=True))
                self.place += 1
                self.pause()
            self.order, self.place, self.epoch = None, 0, self.epoch + 1
        if self.pending:
            self._look(task)
        with self._spent_on("step"):
            self.method.end_task(task)

    def _step(self, task: Task, chosen: Tensor) -> None:
        if len(chosen) == 1:  # twice, augmented apart: batch-norm cannot take one
            chosen = chosen.repeat(2)
        with self._spent_on("step"):
            batch = Batch(task.images[chosen], task.labels[chosen], chosen)
            self.pending.append(take_step(self.method, batch))
        self.steps += 1
        self.images += len(chosen)
        if len(self.pending) == INTERVAL:
            self._look(task)
        if self.evaluate_every and self.steps % self.evaluate_every == 0:
            with self._spent_on("evaluate"):
                self.between.append((task.index, score(*self._seen(task)).class_il))

    def _look(self, task: Task) -> None:
        pending = self.pending
        names = pending[0].keys()
        values = {n: torch.stack([scalars[n] for scalars in pending]).tolist() for n in names}
        for place, loss in enumerate(values["loss"]):
            if not abs(loss) < float("inf"):
                step = self.steps - len(pending) + place + 1
                raise UserError(
                    f"the loss became {loss} at step {step} (task {task.index + 1}): "
                    "lower the learning rate (--lr)"
                )
        means = {name: sum(each) / len(each) for name, each in values.items()}
        images = min(len(pending) * self.batch, self.epochs * len(task.labels))
        self.watcher.trained(task.index, self.steps, images, means)
        pending.clear()

    def _score(self, task: Task) -> None:
        with self._spent_on("evaluate"):
            trained, recomputed = score(*self._seen(task)), None
        if self.method.buffer is not None:
            with self.recomputed(), self._spent_on("evaluate"):
                recomputed = score(*self._seen(task))
        # Of the confusion of classes, only the last is kept: checkpoints stay small.
        self.scores = [(_bare(one), other and _bare(other)) for one, other in self.scores]
        self.scores.append((trained, recomputed))
        self.watcher.task_ended(task.index, trained, recomputed)

    def _seen(self, task: Task) -> tuple[Callable[[Tensor], Tensor], Sequence[Task], int]:
        """What ``score`` takes to score all tasks up to ``task``."""
        last = len(self.stream.test) if self.method.joint else task.index + 1
        test = tuple(self.stream.test[:last])
        return self.method.predict, test, 1 + max(max(own.classes) for own in test)

    def _unseen(self, test: Task) -> float:
        """Task-IL accuracy on one task."""
        with self._spent_on("evaluate"):
            return score(self.method.predict, [test], 1 + max(test.classes)).task_il[0]

    @contextmanager
    def recomputed(self) -> Iterator[None]:
        """Inside, the student has statistics recomputed on the buffer, at its cost."""
        with ExitStack() as stack:
            with self._spent_on("recompute"):  # phases do not nest: entered here, left later
                stack.enter_context(recomputed_statistics(self.method))
            yield

    @contextmanager
    def _spent_on(self, phase: str) -> Iterator[None]:
        drawn = seeded(phase, self.seed, self.task, self.steps)
        with self.meter.phase(phase), self.autocast(), drawn:
            yield


def _bare(scores: Scores) -> Scores:
    return replace(scores, confusion=[])
