"""Accuracy over tasks, what follows from it, and the record a run leaves."""

from lord.evaluation.accuracy import (
    Scores,
    average_incremental,
    final_average,
    forgetting,
    score,
)
from lord.evaluation.record import Matrices, RunRecord, read_record

__all__ = [
    "Matrices",
    "RunRecord",
    "Scores",
    "average_incremental",
    "final_average",
    "forgetting",
    "read_record",
    "score",
]
