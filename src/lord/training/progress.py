"""A run's progress: a bar on the terminal or plain lines, metrics.jsonl, and trackers."""

import math

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from lord.evaluation import Scores, mean
from lord.training.folder import RunFolder
from lord.training.lines import ProgressLines
from lord.training.trackers import Tracker


class Speed(ProgressColumn):
    """A column with the images per second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.0f} images/s" if task.speed else "")


class RunLog:
    """Write metrics.jsonl, and draw a bar for each task.

    Args:
        folder: the run's folder.
        console: where to draw. If it is not a terminal, plain lines go to standard error instead.
            None to show nothing.
        tracker: receives the figures too.
    """

    def __init__(
        self, folder: RunFolder, console: Console | None, tracker: Tracker | None = None
    ) -> None:
        self.folder = folder
        self.tracker = tracker
        self.steps = 0
        self.console = console if console and console.is_terminal else None
        self.lines = ProgressLines() if console and not self.console else None
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("loss {task.fields[loss]:.3f}"),
            Speed(),
            TimeRemainingColumn(),
            console=self.console,
            disable=self.console is None,
        )

    def __enter__(self) -> "RunLog":
        self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.stop()
        if self.tracker:
            self.tracker.close()

    def task_begins(self, task: int, tasks: int, images: int | None, done: int) -> None:
        """Start a bar for the task."""
        name = f"task {task + 1} of {tasks}"
        self.current = self.bar.add_task(name, total=images, completed=done, loss=float("nan"))
        if self.lines:
            self.lines.task_begins(name, images, done)

    def trained(self, task: int, step: int, images: int, scalars: dict[str, float]) -> None:
        """Write the scalars of the last steps, and advance the bar."""
        finite = {n: value if math.isfinite(value) else None for n, value in scalars.items()}
        self.folder.metric(kind="train", task=task, step=step, **finite)
        self.steps = step
        if self.tracker:
            self.tracker.log(scalars, step)
        self.bar.update(self.current, advance=images, loss=scalars["loss"])
        if self.lines:
            self.lines.trained(images, scalars["loss"])

    def task_ended(self, task: int, trained: Scores, recomputed: Scores | None) -> None:
        """Write the accuracies after a task, and show their mean."""
        rows = {"class_il": trained.class_il, "task_il": trained.task_il}
        if recomputed:
            rows["class_il_recomputed"] = recomputed.class_il
            rows["task_il_recomputed"] = recomputed.task_il
        if trained.top5:
            rows["top5"] = trained.top5
        if recomputed and recomputed.top5:
            rows["top5_recomputed"] = recomputed.top5
        self.folder.metric(kind="evaluate", task=task, **rows)
        if self.tracker:
            means = {name: mean(row) for name, row in rows.items()}
            self.tracker.log(means | {"task": float(task + 1)}, self.steps)
        final = mean(trained.class_il)
        if self.console:
            self.console.print(f"after task {task + 1}: Class-IL {final:.1f} %", highlight=False)
        if self.lines:
            self.lines.task_ended(final)
