"""Accuracy over tasks, the measures that follow from it, and the record of a run."""

from lord.evaluation.accuracy import Known, Scores, score
from lord.evaluation.classes import Classes, read_classes
from lord.evaluation.definitions import DEFINITIONS
from lord.evaluation.journal import Journal, read_journal
from lord.evaluation.matrix import (
    average_incremental,
    backward_transfer,
    final_average,
    forgetting,
    forward_transfer,
    mean,
    minimum_accuracy,
    stability_gap,
)
from lord.evaluation.online import area_under_accuracy, hits, overall_accuracy
from lord.evaluation.progress import (
    FAILURE,
    State,
    forget_failure,
    read_failure,
    state_of,
    write_failure,
)
from lord.evaluation.record import Matrices, RunRecord, finished, read_record
from lord.evaluation.study import Study, read_environment, read_study
from lord.evaluation.table import TABLE, read_table, write_table

__all__ = [
    "DEFINITIONS",
    "TABLE",
    "Classes",
    "Journal",
    "Known",
    "Matrices",
    "RunRecord",
    "Scores",
    "State",
    "Study",
    "area_under_accuracy",
    "average_incremental",
    "backward_transfer",
    "final_average",
    "finished",
    "FAILURE",
    "forget_failure",
    "forgetting",
    "forward_transfer",
    "mean",
    "hits",
    "minimum_accuracy",
    "overall_accuracy",
    "read_classes",
    "read_environment",
    "read_failure",
    "read_journal",
    "read_record",
    "read_study",
    "read_table",
    "score",
    "stability_gap",
    "state_of",
    "write_failure",
    "write_table",
]
