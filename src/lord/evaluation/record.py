"""What a run leaves: one summary and its accuracy matrices, typed, readable without the run."""

from pathlib import Path

import msgspec

from lord.config import UserError


class Matrices(msgspec.Struct, frozen=True):
    """Accuracy in percent, row = after task, column = on task; 'recomputed' needs a buffer."""

    class_il: list[list[float]]
    task_il: list[list[float]]
    class_il_recomputed: list[list[float]] | None = None
    task_il_recomputed: list[list[float]] | None = None
    before: list[float] | None = None
    """Task-IL on each task just before it is learnt."""
    untrained: list[float] | None = None
    """Task-IL on each task of the network as initialised."""
    between: list[tuple[int, list[float]]] = []
    """Within tasks, where asked for: index of the task being learnt, Class-IL on each task seen."""


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The summary of a finished run. Accuracies in percent, times in seconds.

    training_flops counts everything training does, search_flops and recompute_flops included;
    eval_flops is apart. Multiply-add = 2 FLOPs.
    """

    method: str
    preset: str
    seed: int
    statistics: str
    """Which batch-norm statistics the headline, forgetting and average_incremental stand on."""
    class_il: float
    task_il: float
    class_il_recomputed: float | None
    task_il_recomputed: float | None
    forgetting: float | None
    average_incremental: float
    training_flops: int
    search_flops: int
    recompute_flops: int
    eval_flops: int
    wall_s: float
    step_s: float
    search_s: float
    recompute_s: float
    eval_s: float
    steps: int
    images_per_s: float
    peak_bytes: int
    state_bytes: int
    buffer_bytes: int
    params: int
    label: str = ""
    """The method and what sets this variant of it apart."""
    epochs: float | None = None
    backward_transfer: float | None = None
    forward_transfer: float | None = None
    minimum_accuracy: float | None = None
    stability_gap: float | None = None
    calibration: float | None = None
    recency: float | None = None
    uncounted: float = 0.0
    """Share of a forward pass's FLOPs that training_flops misses."""
    settings: dict[str, bool | int | float | str | None]
    """The whole configuration but for method, preset, seed and what does not change results."""
    matrices: Matrices

    @property
    def headline(self) -> tuple[float, float]:
        """Class-IL and Task-IL with the statistics that are this run's headline."""
        if self.statistics == "recomputed":
            assert self.class_il_recomputed is not None
            assert self.task_il_recomputed is not None
            return self.class_il_recomputed, self.task_il_recomputed
        return self.class_il, self.task_il

    @property
    def headline_matrix(self) -> list[list[float]]:
        recomputed = self.matrices.class_il_recomputed
        if self.statistics == "recomputed" and recomputed is not None:
            return recomputed
        return self.matrices.class_il


def finished(folder: Path) -> bool:
    """Whether the run in ``folder`` was finished."""
    return (folder / "summary.json").is_file()


def read_record(folder: Path) -> RunRecord:
    """The record of a finished run.

    Raises:
        UserError: if there is none, or it is not one.
    """
    try:
        return msgspec.json.decode((folder / "summary.json").read_bytes(), type=RunRecord)
    except FileNotFoundError:
        raise UserError(f"no finished run in '{folder}' (no summary.json)") from None
    except msgspec.MsgspecError as error:
        raise UserError(f"{folder / 'summary.json'} is not a run's summary: {error}") from None
