"""The loop over tasks, epochs and batches. It is the same for all methods, and writes no files."""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Generator, Tensor

from lord.config import UserError, seeded
from lord.costs import Meter
from lord.evaluation import Known, Matrices, Scores, hits, overall_accuracy, score
from lord.methods import AnyMethod, Batch, Method, moved, recomputed_statistics, take_step
from lord.streams import Cursor, Stream, Task
from lord.training.budget import Epochs, Taken
from lord.training.matrices import matrices_of
from lord.training.scalars import scalar_values
from lord.training.watcher import Watcher

INTERVAL = 25
"""Steps between two checks of the loss. Each check waits for the device."""
TRAINING = ("search", "step", "recompute")
"""Phases that count as training. The phase of evaluation is reported separately."""
SAVED = ("steps", "images", "task", "begun", "pending", "untrained", "before", "between")
"""Attributes of a loop that are saved without conversion."""
ADDED = ("untrained_class_il", "before_class_il", "anytime", "classes", "online")
"""Saved attributes that checkpoints of old versions lack."""


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
        self.scores: list[tuple[Scores, Scores | None]] = []
        self.untrained: list[float] = []
        self.untrained_class_il: list[float] = []
        self.before: list[float] = []
        self.before_class_il: list[float] = []
        self.between: list[tuple[int, list[float]]] = []
        self.latest: Scores | None = None
        """Scores within the task if the last step was followed by an evaluation."""
        self.anytime: list[tuple[int, float]] = []
        self.classes = 0
        """Number of classes seen."""
        self.online = torch.zeros(2, dtype=torch.int64, device=method.device)
        """Right predictions, and all predictions, of batches before they are learned."""

    def run(self) -> Matrices:
        """Train from the current position to the end of the stream."""
        if not self.untrained:
            known = Known()
            scores = [self._score_unseen(task, known) for task in self.stream.test]
            self.untrained = [each.task_il[0] for each in scores]
            self.untrained_class_il = [each.class_il[0] for each in scores]
        while self.task < len(self.stream.train):
            task = self.stream.train[self.task]
            self._train(task)
            self._score(task)
            self.task, self.begun = self.task + 1, False
            self.cursor = Cursor(self.batch, self.generator)
            self.pause()
        return matrices_of(self)

    @property
    def online_accuracy(self) -> float | None:
        """Accuracy on batches before they are learned, in percent; None without predictions."""
        right, total = self.online.tolist()
        return 100 * right / total if total else None

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the rest of the run depends on, and all measurements so far."""
        saved = {name: getattr(self, name) for name in (*SAVED, *ADDED)}
        return saved | {
            **self.cursor.state_dict(),
            "budget": self.budget.state_dict(),
            "method": self.method.state_dict(),
            "generator": self.generator.get_state(),
            "scores": [[scores and vars(scores) for scores in pair] for pair in self.scores],
            "latest": self.latest and vars(self.latest),
            "flops": dict(self.meter.flops),
            "seconds": dict(self.meter.seconds),
            "checks": self.meter.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from the state of a loop over the same stream with the same settings."""
        for name in SAVED:
            setattr(self, name, state[name])
        for name in ADDED:
            setattr(self, name, moved(state.get(name, getattr(self, name)), self.method.device))
        self.cursor.load_state_dict(state)
        self.pending = moved(self.pending, self.method.device)
        self.budget.load_state_dict(state.get("budget", {}))
        self.method.load_state_dict(state["method"])
        self.generator.set_state(state["generator"])
        scores = [[values and Scores(**values) for values in pair] for pair in state["scores"]]
        self.scores = [(trained, recomputed) for trained, recomputed in scores]
        self.latest = Scores(**state["latest"]) if state.get("latest") else None
        self.meter.flops.update(state["flops"])
        self.meter.seconds.update(state["seconds"])
        if "checks" in state:  # older checkpoints have none
            self.meter.load_state_dict(state["checks"])

    def _train(self, task: Task) -> None:
        count, cursor, budget = len(task.labels), self.cursor, self.budget
        done, images = cursor.images_done(count), budget.images(cursor, count)
        self.watcher.task_begins(task.index, len(self.stream.train), images, done)
        if not self.begun:
            if len(self.before) == task.index:
                self._score_before(task.index, Known())
            budget.begin(count)
            self.classes = max(self.classes, 1 + max(task.classes))
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
                images, labels = task.images[places], task.labels[places]
                with self._phase("evaluate", once=False):
                    self.online += hits(self.method.predict, images, labels, self.classes)
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
        if self.evaluate_every and self.steps % self.evaluate_every == 0:
            with self._phase("evaluate"):
                self.latest = score(*self._seen(task))
            self.between.append((task.index, self.latest.class_il))
            self.anytime.append((self.images, overall_accuracy(self.latest.confusion)))
        else:
            self.latest = None

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

    def _score(self, task: Task) -> None:
        known, trained, recomputed = Known(), self.latest, None
        if trained is None or type(self.method).end_task is not Method.end_task:
            with self._phase("evaluate"):
                trained = score(*self._seen(task), known=known)
        self.latest = None
        if self.method.buffer is not None:
            with self.recomputed() as changed, self._phase("evaluate"):
                recomputed = score(*self._seen(task)) if changed else trained
        if len(known.known) and task.index + 1 < len(self.stream.train):
            self._score_before(task.index + 1, known)  # it may share images
        # Only the last confusion matrix is kept, so that checkpoints stay small.
        self.scores = [(one.short, other and other.short) for one, other in self.scores]
        self.scores.append((trained, recomputed))
        self.watcher.task_ended(task.index, trained, recomputed)

    def _seen(self, task: Task) -> tuple[Callable[[Tensor], Tensor], Sequence[Task], int]:
        """Return the arguments of ``score`` for all tasks up to ``task``."""
        last = len(self.stream.test) if self.method.traits.joint else task.index + 1
        tests = tuple(self.stream.test[:last])
        seen = max(self.classes, 1 + max(max(test.classes) for test in tests))
        return self.method.predict, tests, seen

    def _score_before(self, index: int, known: Known) -> None:
        """Score a task before training on it. Before the first, the method is as initialised."""
        if index == 0 and self.untrained_class_il:
            task_il, class_il = self.untrained[0], self.untrained_class_il[0]
        else:
            scores = self._score_unseen(self.stream.test[index], known)
            task_il, class_il = scores.task_il[0], scores.class_il[0]
        self.before.append(task_il)
        self.before_class_il.append(class_il)

    def _score_unseen(self, test: Task, known: Known) -> Scores:
        """Score one task. Predictions in Class-IL are among all classes up to its last."""
        with self._phase("evaluate"):
            return score(self.method.predict, [test], 1 + max(test.classes), known=known)

    @contextmanager
    def recomputed(self) -> Iterator[bool]:
        """Recompute the student's statistics on the buffer, inside a ``with`` block.

        The cost counts as training. Yields whether they were recomputed.
        """
        with ExitStack() as stack:
            with self._phase("recompute"):  # ends before the block, as phases cannot be nested
                changed = stack.enter_context(recomputed_statistics(self.method))
            yield changed

    @contextmanager
    def _phase(self, phase: str, *, once: bool = True) -> Iterator[None]:
        """Count the costs of a block as a phase, and seed it by the position in the run."""
        randomness = seeded(phase, self.seed, self.task, self.steps)
        before = self.meter.flops[phase]
        with self.meter.phase(phase, once=once), self.autocast(), randomness:
            yield
        if phase in TRAINING:
            self.budget.charge(self.meter.flops[phase] - before)
