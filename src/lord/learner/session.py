"""One session of a learner: how far it has come, what it costs, and what it leaves behind."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import torch

from lord.backbone.trained import MODEL_FILE
from lord.config import RefusedError, UserError, seeded
from lord.costs import Meter
from lord.methods import AnyMethod, Batch, Progress, take_step
from lord.storage import has_state
from lord.streams import Cursor, Task

STATE_FILE = "state.safetensors"
"""The checkpoint in a learner's folder."""
SNAPSHOTS = "state-after-*.safetensors"
"""The learner as it was after a number of sessions."""
PROBE = 4
"""Steps after which the number of steps within a budget is first computed."""


class Session(msgspec.Struct):
    """What a session leaves behind.

    Attributes:
        key: its name.
        images: number of images given, held-out ones included.
        new_classes: classes that were new in it.
        level: level of the student after it; None for methods without levels.
        steps: number of training steps.
        seconds: time spent on training, without measuring accuracy.
        flops: FLOPs of training, likewise.
        held_out: held-out accuracy of each session so far after this one, in percent; nan for a
            session without held-out images.
        source: where its images came from; None if that is not known.
        date: day on which it ended, such as "2026-11-29"; empty in states of old versions.
    """

    key: str
    images: int
    new_classes: list[str]
    level: int | None = None
    steps: int = 0
    seconds: float = 0.0
    flops: int = 0
    held_out: list[float] = []
    source: str | None = None
    date: str = ""


@dataclass
class OpenSession:
    """A session that has begun and has not ended.

    Attributes:
        session: what it will leave behind.
        fingerprint: hash of its images and labels.
        cursor: the place in its images.
        total: steps it will have; 0 until that is known.
        done: steps done.
        planned: steps that were done when a budget last set ``total``.
        spent: part of the budget spent by then.
        threads: CPU threads when it began. Their number affects the last bits of results.
    """

    session: Session
    fingerprint: str
    cursor: Cursor
    total: int = 0
    done: int = 0
    planned: int = 0
    spent: float = 0.0
    threads: int = 0

    @property
    def finished(self) -> bool:
        """Whether all steps are done."""
        return 0 < self.total <= self.done

    def check(self, key: str, given: str) -> None:
        """Check that the session continues under its key, with its images and labels.

        Args:
            given: fingerprint of the images and labels given now.

        Raises:
            UserError: if not.
        """
        if (key, given) != (self.session.key, self.fingerprint):
            raise UserError(
                f"session '{self.session.key}' is unfinished, and these are not its images",
                hint="finish it with the same key, images and labels first",
            )

    def plan(self, steps: int, seconds: float | None, flops: float | None) -> None:
        """Set the total number of steps after a step: by the budget, or else to ``steps``."""
        if seconds:
            self.plan_budget(seconds, self.session.seconds)
        elif flops:
            self.plan_budget(flops, self.session.flops)
        else:
            self.total = self.total or steps

    def plan_budget(self, budget: float, spent: float) -> None:
        """Set the total number of steps by a budget, each time twice as many steps are done.

        The estimate of what a step costs improves each time. The first step is not counted,
        because it prepares what later steps reuse.
        """
        if self.done == 1:
            self.planned, self.spent = 1, spent
        if self.done < max(PROBE, 2 * self.planned):
            return
        each = (spent - self.spent) / (self.done - self.planned)
        self.total = self.done + int(max(budget - spent, 0) / max(each, 1e-9))
        self.planned, self.spent = self.done, spent

    def train(
        self,
        method: AnyMethod,
        task: Task,
        *,
        seed: tuple[int, ...],
        seconds: float | None,
        flops: float | None,
        pause: Callable[[], None],
    ) -> None:
        """Train from the present place to the end of the session.

        Args:
            task: the images to learn.
            seed: all randomness depends on it and on the number of the step.
            seconds, flops: training budget, instead of a number of epochs.
            pause: called between steps, where the state is complete.
        """
        with Meter() as meter:
            if not self.done:
                method.context = replace(method.context, flops=flops)
                with self.charged(meter, *seed):
                    method.begin_task(task)
            while not self.finished and not (self.done and method.resting):
                with self.charged(meter, *seed, once=False):
                    self._step(method, task)
                self.plan(method.context.steps(task), seconds, flops)
                pause()
            with self.charged(meter, *seed):
                method.end_task(task)

    def _step(self, method: AnyMethod, task: Task) -> None:
        progress = Progress(self.done, self.total or method.context.steps(task))
        epoch, rows = self.cursor.epoch, self.cursor.next_rows(len(task.labels))
        if epoch == 0:
            method.context.charge(len(rows))
        scalars = take_step(method, Batch(task.images[rows], task.labels[rows], rows), progress)
        self.done += 1
        if not scalars["loss"].isfinite():
            raise RefusedError(
                f"training diverged: the loss became {scalars['loss'].item()} at step {self.done}",
                hint="drop this session with `abandon`, or make a new learner with a lower `lr`",
            )

    @contextmanager
    def charged(self, meter: Meter, *seed: int, once: bool = True) -> Iterator[None]:
        """Inside, costs count towards the session, and randomness depends on seed and step."""
        start, before, threads = time.perf_counter(), meter.flops["step"], torch.get_num_threads()
        torch.set_num_threads(self.threads or threads)
        try:
            randomness = seeded(*seed, self.done)
            with torch.enable_grad(), randomness, meter.phase("step", once=once):
                yield
        finally:
            torch.set_num_threads(threads)
        self.session.seconds += time.perf_counter() - start
        self.session.flops += meter.flops["step"] - before

    def state_dict(self) -> dict[str, Any]:
        """Return everything as plain values and tensors."""
        parts = {"session": msgspec.to_builtins(self.session), "cursor": self.cursor.state_dict()}
        return vars(self) | parts

    @classmethod
    def from_state(cls, state: dict[str, Any], cursor: Cursor) -> "OpenSession":
        """Return the session that ``state_dict`` described, with ``cursor`` at its place."""
        cursor.load_state_dict(state["cursor"])
        session = msgspec.convert(state["session"], Session)
        return cls(**state | {"session": session, "cursor": cursor})


def holds_learner(folder: Path) -> bool:
    """Return whether there is a learner in a folder, as it is or as it was before a session."""
    return has_state(folder / STATE_FILE) or any(folder.glob(SNAPSHOTS))


def learner_file(path: Path) -> Path:
    """Return the checkpoint to read for a path, which may be a file or a learner's folder.

    Raises:
        UserError: if the folder holds no learner.
    """
    if not path.is_dir() or holds_learner(path):
        return path / STATE_FILE if path.is_dir() else path
    if (path / MODEL_FILE).exists():
        raise UserError(f"'{path}' holds a run's model, not a learner", hint="use lord.load_model")
    raise UserError(f"there is no learner in '{path}'", hint="'lord learn' makes one")
