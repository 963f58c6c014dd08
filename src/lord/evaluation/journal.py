"""What a run has written on its way (metrics.jsonl): all there is to see before it ends."""

from pathlib import Path

import msgspec

from lord.evaluation.record import Matrices


class Trained(msgspec.Struct, frozen=True, tag_field="kind", tag="train"):
    """A look at the loss, a mean over the steps since the last one."""

    task: int
    step: int
    loss: float


class Evaluated(msgspec.Struct, frozen=True, tag_field="kind", tag="evaluate"):
    """Accuracy in percent on each task seen, after one."""

    task: int
    class_il: list[float]
    task_il: list[float]
    class_il_recomputed: list[float] | None = None
    task_il_recomputed: list[float] | None = None


class Journal(msgspec.Struct, frozen=True):
    """What became of a run so far."""

    losses: list[tuple[int, float]]
    """Step and loss."""
    task: int
    """Index of the task it is at; the number of tasks after the last one."""
    matrices: Matrices | None
    """Of the tasks it has finished; None before the first."""

    @property
    def step(self) -> int:
        return self.losses[-1][0] if self.losses else 0


def read_journal(folder: Path) -> Journal:
    """The journal of the run in ``folder``; an empty one where there is none yet.

    A line that is not one of ours is passed over, such as one that is still being written.
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
