"""The loop over tasks, epochs and batches. It is the same for all methods, and writes no files."""

import copy
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

from torch import Generator, Tensor

from lord.config import UserError, seeded
from lord.costs import Meter
from lord.evaluation import Matrices
from lord.methods import AnyMethod, Batch, Method, moved, recomputed_statistics, take_step
from lord.streams import Cursor, Stream, Task
from lord.training.budget import Epochs, Taken
from lord.training.scalars import scalar_values
from lord.training.scoring import Scoring
from lord.training.watcher import Watcher

INTERVAL = 25
"""Steps between two checks of the loss. Each check waits for the device."""
TRAINING = ("search", "step", "recompute")
"""Phases that count as training. The phase of evaluation is reported separately."""
SAVED = ("steps", "images", "task", "begun", "pending")
"""Attributes of a loop that are saved without conversion."""


class Loop:
    """Train a method on a stream, and score it after each task.

    Args:
        method: an untrained method, or one with a loaded state.
        stream: the tasks to learn and to score.
        budget: decides which batches of a task are learned, and when it ends.
        batch: number of images in a step.
        evaluate_every: steps between evaluations within a task; 0 for none.
        prequential: predict each batch of a first epoch before it is learned.
        generator: on the CPU, for the order of images.
        meter: counts costs in the phases of training and in "evaluate". It must be entered.
        autocast: makes the context in which passes run.
        watcher: receives the progress.
    """

    def __init__(
        self,
        method: AnyMethod,
        stream: Stream,
        *,
        budget: Epochs,
        batch: int,
        generator: Generator,
        meter: Meter,
        evaluate_every: int,
        prequential: bool,
        autocast: Callable[[], AbstractContextManager[object]],
        watcher: Watcher,
    ) -> None:
        self.method, self.stream = method, stream
        self.budget, self.batch, self.generator = budget, batch, generator
        self.seed = generator.initial_seed()
        self.meter, self.autocast, self.watcher = meter, autocast, watcher
        self.pause: Callable[[], None] = lambda: None
        """Called between steps, when the state is complete."""
        self.ended: Callable[[], None] = lambda: None
        """Called when a task has been learned."""
        self.evaluate_every, self.prequential = evaluate_every, prequential
        self.steps = self.images = self.task = 0
        self.cursor = Cursor(batch, generator)
        """The position within the task."""
        self.begun = False
        """Whether the method has begun the task."""
        self.pending: list[dict[str, Tensor]] = []
        """Scalars of the steps since the last check of the loss."""
        self.scoring = Scoring(method, stream, self._phase)

    def run(self) -> Matrices:
        """Train from the current position to the end of the stream."""
        if not self.scoring.untrained:
            self.scoring.score_untrained()
        while self.task < len(self.stream.train):
            task = self.stream.train[self.task]
            self._train(task)
            self.watcher.task_ended(task.index, *self.scoring.score_after(task))
            self.task, self.begun = self.task + 1, False
            self.cursor = Cursor(self.batch, self.generator)
            self.pause()
        return self.scoring.matrices()

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the rest of the run depends on, and all measurements so far."""
        return {name: getattr(self, name) for name in SAVED} | {
            **self.cursor.state_dict(),
            **self.scoring.state_dict(),
            "budget": self.budget.state_dict(),
            "method": self.method.state_dict(),
            "generator": self.generator.get_state(),
            "flops": dict(self.meter.flops),
            "seconds": dict(self.meter.seconds),
            "checks": self.meter.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from the state of a loop over the same stream with the same settings."""
        for name in SAVED:
            setattr(self, name, state[name])
        self.cursor.load_state_dict(state)
        self.scoring.load_state_dict(state)
        self.pending = moved(self.pending, self.method.device)
        self.budget.load_state_dict(state.get("budget", {}))
        self.method.load_state_dict(state["method"])
        self.generator.set_state(state["generator"])
        self.meter.flops.update(state["flops"])
        self.meter.seconds.update(state["seconds"])
        if "checks" in state:  # older checkpoints have none
            self.meter.load_state_dict(state["checks"])

    def _train(self, task: Task) -> None:
        count, cursor, budget = len(task.labels), self.cursor, self.budget
        done, images = cursor.images_done(count), budget.images(cursor, count)
        self.watcher.task_begins(task.index, len(self.stream.train), images, done)
        if not self.begun:
            self.scoring.begin(task)
            budget.begin(count)
            with self._phase("search"):
                self.method.begin_task(task)
            self.begun = True
        while not self._resting and (taken := self._take(task)).rows is not None:
            self._step(task, taken)
            self.pause()
        if self.pending:
            self._look(task)
        if (learned := budget.learned(task)) is not None:
            with self._phase("step"):
                self.method.end_task(learned)
        self.ended()

    @property
    def _resting(self) -> bool:
        """Whether the rest of a task can be left out."""
        return self.method.resting and not self.prequential and not self.evaluate_every

    def _take(self, task: Task) -> Taken:
        """Return the next batch of a task."""
        held = len(self.method.buffer) if self.method.buffer is not None else 0
        ending = partial(self._ending, task)
        taken = self.budget.take(self.cursor, len(task.labels), held, ending)
        if self.prequential:
            first = [taken.rows] if taken.rows is not None and taken.epoch == 0 else []
            for rows in (*taken.missed, *first):
                places = rows.to(task.labels.device, non_blocking=True)
                self.scoring.score_batch(task.images[places], task.labels[places])
        return taken

    def _ending(self, task: Task) -> int:
        """Measure the training FLOPs that the end of a task would cost now.

        It counts as evaluation, and leaves the method as it is.
        """
        before, method = self.meter.flops["evaluate"], self.method
        with self._phase("evaluate"):
            if type(method).end_task is not Method.end_task:
                method = copy.deepcopy(method)
                method.end_task(task)
            if method.buffer is not None:
                with recomputed_statistics(method):
                    pass
        return self.meter.flops["evaluate"] - before

    def _step(self, task: Task, taken: Taken) -> None:
        assert taken.rows is not None
        before = self.meter.flops["step"]
        rows = taken.rows.to(task.labels.device, non_blocking=True)
        with self._phase("step", once=False):
            batch = Batch(task.images[rows], task.labels[rows], rows)
            if taken.epoch == 0:
                self.method.context.charge(len(rows))
            self.pending.append(take_step(self.method, batch, taken.progress))
        self.budget.stepped(taken.rows, self.meter.flops["step"] - before)
        self.steps += 1
        self.images += len(rows)
        if len(self.pending) == INTERVAL:
            self._look(task)
        self.scoring.latest = None
        if self.evaluate_every and self.steps % self.evaluate_every == 0:
            self.scoring.score_within(task, self.images)

    def _look(self, task: Task) -> None:
        """Fetch the scalars of the last steps from the device, and report their means."""
        pending = self.pending
        values = scalar_values(pending)
        for place, loss in enumerate(values["loss"]):
            if not abs(loss) < float("inf"):
                step = self.steps - len(pending) + place + 1
                raise UserError(
                    f"training diverged: the loss became {loss} at step {step}, in task "
                    f"{task.index + 1}",
                    hint="lower `lr`",
                )
        means = {name: sum(each) / len(each) for name, each in values.items()}
        images = min(len(pending) * self.batch, self.budget.epochs * len(task.labels))
        self.watcher.trained(task.index, self.steps, images, means)
        pending.clear()

    @contextmanager
    def _phase(self, phase: str, *, once: bool = True) -> Iterator[None]:
        """Count the costs of a block as a phase, and seed it by the position in the run."""
        randomness = seeded(phase, self.seed, self.task, self.steps)
        before = self.meter.flops[phase]
        with self.meter.phase(phase, once=once), self.autocast(), randomness:
            yield
        if phase in TRAINING:
            self.budget.charge(self.meter.flops[phase] - before)
