"""When a task ends: after its epochs, when its FLOPs are spent, or when its stream has passed."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lord.config import UserError, seeded
from lord.costs import FlopCount
from lord.methods import Progress
from lord.streams import Cursor, Task, batch_count

TOLERANCE = 0.01
"""Largest share of a FLOP budget by which a task may miss it."""


class Taken(NamedTuple):
    """The next batch of a task.

    Attributes:
        rows: its rows in the task, int64 on the CPU; None at the end of the task.
        progress: the progress within the task.
        epoch: number of epochs done before the batch.
        missed: rows of first-epoch batches that passed since the last batch and are not learned.
    """

    rows: Tensor | None
    progress: Progress
    epoch: int = 0
    missed: tuple[Tensor, ...] = ()


class Epochs:
    """Train each task for a number of epochs.

    Args:
        epochs: passes over each task.
    """

    STATE: ClassVar[tuple[str, ...]] = ()
    """Attributes to save."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def images(self, cursor: Cursor, count: int) -> int | None:
        """Return the number of images of a task over all epochs; None if it is not known."""
        return cursor.images_done(count) + cursor.images_left(count, self.epochs)

    def begin(self, count: int) -> None:
        """Begin a task of ``count`` images."""

    def charge(self, flops: int) -> None:
        """Add training FLOPs: those of a search, a step, the end of a task or a recomputation."""

    def stepped(self, rows: Tensor, flops: int) -> None:
        """Note a step on these rows of the task, and its FLOPs."""

    def take(self, cursor: Cursor, count: int, held: int, ending: Callable[[], int]) -> Taken:
        """Return the next batch of the task.

        Args:
            cursor: the position within the task. It moves past the batch.
            count: rows of the task.
            held: number of samples in the buffer.
            ending: measures the training FLOPs that the end of the task would cost now.
        """
        steps = batch_count(count, cursor.batch)
        progress = Progress(cursor.epoch * steps + cursor.place, self.epochs * steps)
        if (epoch := cursor.epoch) >= self.epochs:
            return Taken(None, progress)
        return Taken(cursor.next_rows(count), progress, epoch)

    def learned(self, task: Task) -> Task | None:
        """Return the part of a task that was learned; None if no image was."""
        return task

    def state_dict(self) -> dict[str, Any]:
        """Return everything that later batches depend on."""
        return {name: copy.copy(getattr(self, name)) for name in self.STATE}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a state that ``state_dict`` returned."""
        for name in self.STATE:
            setattr(self, name, state[name])


class FlopBudget(Epochs):
    """Train each task until its training FLOPs are spent, to the nearest step.

    The budget includes the search before a task, its end, and the recomputation of statistics.
    What the end will cost is measured on a copy of the method. A buffer that fills makes it dearer,
    so it is measured again as the budget runs out.

    Args:
        flops: training FLOPs of each task.
        epochs: number of epochs from which the progress of the first step is estimated.
        warn: called once if a step is so dear that tasks may miss the budget.

    Attributes:
        spent: training FLOPs of each task so far.
    """

    STATE = ("spent", "steps", "step_flops", "reserve", "measured", "held", "warned")

    def __init__(self, flops: float, epochs: int, warn: Callable[[str], None]) -> None:
        super().__init__(epochs)
        self.flops, self.warn = flops, warn
        self.spent: list[int] = []
        self.warned = False
        self.begin_count()

    def begin_count(self) -> None:
        """Set the counts of a task to zero."""
        self.steps = self.step_flops = self.reserve = 0
        self.measured = self.flops
        """FLOPs that were left when the end was last measured."""
        self.held: int | None = None
        """Samples in the buffer at that time; None before the first measurement."""

    def images(self, cursor: Cursor, count: int) -> int | None:
        return None

    def begin(self, count: int) -> None:
        self.spent.append(0)
        self.begin_count()

    def charge(self, flops: int) -> None:
        self.spent[-1] += flops

    def stepped(self, rows: Tensor, flops: int) -> None:
        self.steps += 1
        self.step_flops += flops

    def take(self, cursor: Cursor, count: int, held: int, ending: Callable[[], int]) -> Taken:
        if not self.steps:
            first = Progress(0, self.epochs * batch_count(count, cursor.batch))
            return Taken(cursor.next_rows(count), first)
        each = self.step_flops / self.steps
        left = self._left(held, each, ending)
        self._check(left, each)
        progress = Progress(self.steps, self.steps + max(round(left / max(each, 1)), 1))
        epoch = cursor.epoch
        # Where another step would overshoot by more than this undershoots, the task ends. A method
        # that has stopped training has steps without cost, which end with the epochs.
        ended = left < each / 2 if each else epoch >= self.epochs
        rows = None if ended else cursor.next_rows(count)
        return Taken(rows, progress, epoch)

    def _left(self, held: int, each: float, ending: Callable[[], int]) -> float:
        """Return the FLOPs left for steps of ``each`` FLOPs.

        Per image, the end costs at most a third of a step. So it cannot use up what is left before
        it is measured again. It is measured before each of the last steps.
        """
        left = self.flops - self.spent[-1] - self.reserve
        due = held != self.held and (left <= self.measured / 3 or left < 2 * each)
        if self.held is None or due:
            self.held, self.reserve = held, ending()
            left = self.flops - self.spent[-1] - self.reserve
            self.measured = max(left, 0)
        return left

    def _check(self, left: float, each: float) -> None:
        """Check that the budget is enough for a step, and warn if it is only just enough."""
        if self.steps == 1 and -left > TOLERANCE * self.flops:
            raise UserError(
                f"is less than task {len(self.spent)} needs for its search, one step and its end",
                field="flops_per_task",
                given=self.flops,
                allowed=f"at least {self.spent[-1] + self.reserve:.4g}",
            )
        if each > TOLERANCE * self.flops and self.steps > 1 and not self.warned:
            self.warned = True
            share = 100 * each / self.flops
            missed = f"so tasks may miss them by {share / 2:.1f} %"
            self.warn(f"warning: a step costs {share:.1f} % of the FLOPs per task, {missed}")


class RealTime(Epochs):
    """Skip the batches that pass while the method is busy (Ghunaim et al. 2023).

    A batch arrives after the training FLOPs that plain SGD needs for the batch before it. The
    method learns the newest batch that has arrived. Those before it have passed. A method that is
    ready early waits for the next batch.

    Args:
        epochs: passes over each task.
        reference: FLOPs of a step of plain SGD on a full batch. They are in proportion to images.

    Attributes:
        clock: time at which the method is ready, in FLOPs.
        arrived: time at which the last batch was complete.
        total: images of all batches so far.
        images_learned: images of the batches that were learned.
        rows_learned: for each row of the task, whether it was learned.
    """

    STATE = ("clock", "arrived", "total", "images_learned", "rows_learned")

    def __init__(self, epochs: int, reference: int) -> None:
        super().__init__(epochs)
        self.reference = reference
        self.clock = self.arrived = self.total = self.images_learned = 0
        self.rows_learned = torch.zeros(0, dtype=torch.bool)

    @property
    def share(self) -> float:
        """Share of the stream's images so far that were learned."""
        return self.images_learned / max(self.total, 1)

    def begin(self, count: int) -> None:
        self.rows_learned = torch.zeros(count, dtype=torch.bool)

    def charge(self, flops: int) -> None:
        self.clock += flops

    def stepped(self, rows: Tensor, flops: int) -> None:
        self.images_learned += len(rows)
        self.rows_learned[rows] = True

    def take(self, cursor: Cursor, count: int, held: int, ending: Callable[[], int]) -> Taken:
        missed: list[Tensor] = []
        while True:
            taken = super().take(cursor, count, held, ending)
            if taken.rows is None:
                return taken._replace(missed=tuple(missed))
            begins = self.arrived
            self.arrived += self.reference * len(taken.rows) // cursor.batch
            self.total += len(taken.rows)
            if self.arrived > self.clock:
                self.clock = max(self.clock, begins)
                return taken._replace(missed=tuple(missed))
            if taken.epoch == 0:
                missed.append(taken.rows)

    def learned(self, task: Task) -> Task | None:
        rows = self.rows_learned.nonzero().flatten().to(task.labels.device)
        if len(rows) == len(task.labels):
            return task
        labels = task.labels[rows]
        classes = tuple(sorted(set(labels.tolist())))
        part = replace(task, classes=classes, images=task.images[rows], labels=labels)
        return part if classes else None


def sgd_step_flops(network: nn.Module, shape: tuple[int, int, int], images: int) -> int:
    """Return the FLOPs of a step of plain SGD: one forward and one backward pass.

    It must not be called while FLOPs are counted.

    Args:
        network: at full width. It does not change.
        shape: channels, height and width of the images.
        images: number of images in the step.
    """
    network = copy.deepcopy(network).train()
    device = next(network.parameters()).device
    labels = torch.zeros(images, dtype=torch.int64, device=device)
    with torch.enable_grad(), seeded("reference", 0), FlopCount() as count:
        F.cross_entropy(network(torch.zeros((images, *shape), device=device)), labels).backward()
    return count.total
