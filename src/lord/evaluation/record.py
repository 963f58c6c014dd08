"""The record of a finished run: its summary and its accuracy matrices."""

from pathlib import Path
from typing import Any

import msgspec

from lord.config import UserError

Value = bool | int | float | str | list[Any] | None
"""The value of a setting in a file."""


class Matrices(msgspec.Struct, frozen=True):
    """Accuracies in percent, after each task (row) on each task (column).

    Accuracies with recomputed statistics exist only for methods with a buffer.
    """

    class_il: list[list[float]]
    task_il: list[list[float]]
    class_il_recomputed: list[list[float]] | None = None
    task_il_recomputed: list[list[float]] | None = None
    before: list[float] | None = None
    """Task-IL on each task just before training on it."""
    untrained: list[float] | None = None
    """Task-IL on each task of the network as initialised."""
    before_class_il: list[float] | None = None
    """As ``before``, in Class-IL. Predictions are among the classes up to and including those of
    the task. None in records of old versions."""
    untrained_class_il: list[float] | None = None
    """As ``untrained``, in Class-IL, with the same classes as ``before_class_il``."""
    between: list[tuple[int, list[float]]] = []
    """Evaluations within tasks: index of the task in training, and Class-IL on each task seen."""
    anytime: list[tuple[int, float]] = []
    """Evaluations within tasks: images learned, and accuracy on all test images of tasks seen."""


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The summary of a finished run. Accuracies in percent, times in seconds.

    training_flops counts all of training and includes search_flops and recompute_flops. It does not
    include eval_flops. A multiply-add is 2 FLOPs.

    ``lord.evaluation.DEFINITIONS`` defines each measure in one sentence.
    """

    method: str
    preset: str
    seed: int
    statistics: str
    """Batch-norm statistics for the headline, forgetting and average_incremental."""
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
    """The name of the variant; without a name, its method and settings as text."""
    variant: dict[str, Value] | None = None
    """The settings of the variant; None in records of old versions."""
    epochs: float | None = None
    backward_transfer: float | None = None
    forward_transfer: float | None = None
    """Forward transfer in Task-IL."""
    forward_transfer_class_il: float | None = None
    """Forward transfer in Class-IL; None in records of old versions."""
    minimum_accuracy: float | None = None
    stability_gap: float | None = None
    calibration: float | None = None
    recency: float | None = None
    top5: float | None = None
    """Mean top-5 accuracy over tasks after the last one, in Class-IL, with the statistics of the
    headline. None for at most five classes."""
    per_class: list[float | None] | None = None
    """Class-IL accuracy on each class after the last task, with the statistics of the headline. The
    classes are those of ``class_names``; None for a class without test images."""
    class_names: list[str] = []
    """Names of the classes seen, in the order in which they were learned; empty in records of old
    versions."""
    uncounted: float = 0.0
    """Share of a step's operations that have no formula, at one per element of the largest tensor.

    training_flops misses them.
    """
    operators_from: int | None = None
    """The step from which all operators were counted, as the faster count of layers was wrong."""
    online: float | None = None
    """Accuracy on each batch of a task's first epoch before it is learned."""
    area_under_accuracy: float | None = None
    """Mean accuracy on the tasks seen, over the evaluations within tasks."""
    task_flops: list[int] | None = None
    """Training FLOPs of each task; None without a budget of FLOPs for each task."""
    stream_seen: float | None = None
    """Share of the stream's images that were learned; None if the stream waits for the method."""
    pretrained: str | None = None
    """Pretrained network that the run starts from, and its data; None for a run from scratch."""
    pretraining_flops: float | None = None
    """Estimated FLOPs of that network's training, where they are known. training_flops does not
    include them."""
    warnings: list[str] = []
    """What the method says about its settings."""
    settings: dict[str, bool | int | float | str | None]
    """All settings that affect results, except method, preset and seed."""
    matrices: Matrices

    @property
    def headline(self) -> tuple[float, float]:
        """Class-IL and Task-IL with the batch-norm statistics of the headline."""
        if self.statistics == "recomputed":
            assert self.class_il_recomputed is not None
            assert self.task_il_recomputed is not None
            return self.class_il_recomputed, self.task_il_recomputed
        return self.class_il, self.task_il

    @property
    def headline_matrix(self) -> list[list[float]]:
        """The Class-IL matrix with the batch-norm statistics of the headline."""
        recomputed = self.matrices.class_il_recomputed
        if self.statistics == "recomputed" and recomputed is not None:
            return recomputed
        return self.matrices.class_il


def finished(folder: Path) -> bool:
    """Tell whether ``folder`` holds a finished run."""
    return (folder / "summary.json").is_file()


def read_record(folder: Path) -> RunRecord:
    """Read the record of a finished run.

    Raises:
        UserError: if ``folder`` has no record, or the record is damaged.
    """
    file = folder / "summary.json"
    try:
        return msgspec.json.decode(file.read_bytes(), type=RunRecord)
    except FileNotFoundError:
        raise UserError(f"no finished run in '{folder}': it has no summary.json") from None
    except msgspec.MsgspecError as error:
        raise UserError(f"'{file}' is not the summary of a run: {error}") from None
