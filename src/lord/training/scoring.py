"""The accuracies of a run: before, within and after each task."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor

from lord.evaluation import Known, Matrices, Scores, hits, overall_accuracy, score
from lord.methods import AnyMethod, Method, moved, recomputed_statistics
from lord.streams import Stream, Task

SAVED = ("untrained", "before", "between")
"""Attributes that are saved without conversion."""
ADDED = ("untrained_class_il", "before_class_il", "anytime", "classes", "online")
"""Saved attributes that checkpoints of old versions lack."""


class Phase(Protocol):
    """Makes a context that counts the costs of a block."""

    def __call__(self, phase: str, *, once: bool = True) -> AbstractContextManager[None]: ...


class Scoring:
    """Score a method on the tasks of a stream, and keep all scores.

    Args:
        method: the method that is trained.
        stream: the tasks to score.
        phase: counts costs in "evaluate" and, for statistics on the buffer, in "recompute".
    """

    def __init__(self, method: AnyMethod, stream: Stream, phase: Phase) -> None:
        self.method, self.tests, self.phase = method, stream.test, phase
        self.after: list[tuple[Scores, Scores | None]] = []
        """After each task: the scores, and those with statistics recomputed on the buffer."""
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

    def score_untrained(self) -> None:
        """Score the untrained network on each task."""
        known = Known()
        scores = [self._unseen(task, known) for task in self.tests]
        self.untrained = [each.task_il[0] for each in scores]
        self.untrained_class_il = [each.class_il[0] for each in scores]

    def begin(self, task: Task) -> None:
        """Score a task before training on it, unless it has been, and count its classes."""
        if len(self.before) == task.index:
            self._score_before(task.index, Known())
        self.classes = max(self.classes, 1 + max(task.classes))

    def score_batch(self, images: Tensor, labels: Tensor) -> None:
        """Predict a batch that has not been learned."""
        with self.phase("evaluate", once=False):
            self.online += hits(self.method.predict, images, labels, self.classes)

    def score_within(self, task: Task, images: int) -> None:
        """Score all tasks so far within a task, after ``images`` images of the stream."""
        with self.phase("evaluate"):
            self.latest = score(*self._seen(task))
        self.between.append((task.index, self.latest.class_il))
        self.anytime.append((images, overall_accuracy(self.latest.confusion)))

    def score_after(self, task: Task) -> tuple[Scores, Scores | None]:
        """Score all tasks so far after a task, and the next one before training on it.

        Returns:
            The scores, and those with statistics recomputed on the buffer, if there is one.
        """
        known, trained, recomputed = Known(), self.latest, None
        if trained is None or type(self.method).end_task is not Method.end_task:
            with self.phase("evaluate"):
                trained = score(*self._seen(task), known=known)
        self.latest = None
        if self.method.buffer is not None:
            with self._recomputed() as changed, self.phase("evaluate"):
                recomputed = score(*self._seen(task)) if changed else trained
        if len(known.known) and task.index + 1 < len(self.tests):
            self._score_before(task.index + 1, known)  # it may share images
        # Only the last confusion matrix is kept, so that checkpoints stay small.
        self.after = [(one.short, other and other.short) for one, other in self.after]
        self.after.append((trained, recomputed))
        return trained, recomputed

    def matrices(self) -> Matrices:
        """Return the accuracies after each task, before it, and within it."""
        trained = [scores for scores, _ in self.after]
        recomputed = [scores for _, scores in self.after if scores]
        return Matrices(
            [scores.class_il for scores in trained],
            [scores.task_il for scores in trained],
            [scores.class_il for scores in recomputed] or None,
            [scores.task_il for scores in recomputed] or None,
            before=self.before,
            untrained=self.untrained,
            # A run that an old version began lacks some of these.
            before_class_il=self.before_class_il if self.untrained_class_il else None,
            untrained_class_il=self.untrained_class_il or None,
            between=self.between,
            anytime=self.anytime,
        )

    @property
    def online_accuracy(self) -> float | None:
        """Accuracy on batches before they are learned, in percent; None without predictions."""
        right, total = self.online.tolist()
        return 100 * right / total if total else None

    def state_dict(self) -> dict[str, Any]:
        """Return all scores so far."""
        return {name: getattr(self, name) for name in (*SAVED, *ADDED)} | {
            "scores": [[scores and vars(scores) for scores in pair] for pair in self.after],
            "latest": self.latest and vars(self.latest),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from saved scores."""
        for name in SAVED:
            setattr(self, name, state[name])
        for name in ADDED:
            setattr(self, name, moved(state.get(name, getattr(self, name)), self.method.device))
        scores = [[values and Scores(**values) for values in pair] for pair in state["scores"]]
        self.after = [(trained, recomputed) for trained, recomputed in scores]
        self.latest = Scores(**state["latest"]) if state.get("latest") else None

    def _seen(self, task: Task) -> tuple[Callable[[Tensor], Tensor], Sequence[Task], int]:
        """Return the arguments of ``score`` for all tasks up to ``task``."""
        last = len(self.tests) if self.method.traits.joint else task.index + 1
        tests = tuple(self.tests[:last])
        seen = max(self.classes, 1 + max(max(test.classes) for test in tests))
        return self.method.predict, tests, seen

    def _score_before(self, index: int, known: Known) -> None:
        """Score a task before training on it. Before the first, the method is as initialised."""
        if index == 0 and self.untrained_class_il:
            task_il, class_il = self.untrained[0], self.untrained_class_il[0]
        else:
            scores = self._unseen(self.tests[index], known)
            task_il, class_il = scores.task_il[0], scores.class_il[0]
        self.before.append(task_il)
        self.before_class_il.append(class_il)

    def _unseen(self, test: Task, known: Known) -> Scores:
        """Score one task. Predictions in Class-IL are among all classes up to its last."""
        with self.phase("evaluate"):
            return score(self.method.predict, [test], 1 + max(test.classes), known=known)

    @contextmanager
    def _recomputed(self) -> Iterator[bool]:
        """Recompute the student's statistics on the buffer, inside a ``with`` block.

        The cost counts as training. Yields whether they were recomputed.
        """
        with ExitStack() as stack:
            with self.phase("recompute"):  # ends before the block, as phases cannot be nested
                changed = stack.enter_context(recomputed_statistics(self.method))
            yield changed
