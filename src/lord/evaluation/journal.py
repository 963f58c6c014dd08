"""Read the journal that a run writes while it trains (metrics.jsonl)."""

from pathlib import Path

import msgspec

from lord.evaluation.record import Matrices


class Trained(msgspec.Struct, frozen=True, tag_field="kind", tag="train"):
    """The mean loss over the steps since the previous entry."""

    task: int
    step: int
    loss: float


class Evaluated(msgspec.Struct, frozen=True, tag_field="kind", tag="evaluate"):
    """The accuracies after a task, in percent, one for each task seen."""

    task: int
    class_il: list[float]
    task_il: list[float]
    class_il_recomputed: list[float] | None = None
    task_il_recomputed: list[float] | None = None


class Journal(msgspec.Struct, frozen=True):
    """The progress of a run."""

    losses: list[tuple[int, float]]
    """Pairs of step and loss."""
    task: int
    """Index of the current task; the number of tasks after the last one."""
    matrices: Matrices | None
    """Accuracies after the finished tasks; None before the first one ends."""

    @property
    def step(self) -> int:
        """The last step in the journal."""
        return self.losses[-1][0] if self.losses else 0


def read_journal(folder: Path) -> Journal:
    """Read the journal of the run in ``folder``; without a file it is empty.

    Lines of other kinds are skipped, and so is a line that is still being written.
    """
    try:
        lines = (folder / "metrics.jsonl").read_bytes().splitlines()
    except FileNotFoundError:
        lines = []
    decoder = msgspec.json.Decoder(Trained | Evaluated)
    losses: list[tuple[int, float]] = []
    rows: list[Evaluated] = []
    task = 0
    for line in lines:
        try:
            entry = decoder.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            continue
        if isinstance(entry, Trained):
            losses.append((entry.step, entry.loss))
            task = entry.task
        else:
            rows.append(entry)
            task = entry.task + 1
    return Journal(losses, task, _matrices(rows) if rows else None)


def _matrices(rows: list[Evaluated]) -> Matrices:
    return Matrices(
        [row.class_il for row in rows],
        [row.task_il for row in rows],
        [row.class_il_recomputed for row in rows if row.class_il_recomputed] or None,
        [row.task_il_recomputed for row in rows if row.task_il_recomputed] or None,
    )
