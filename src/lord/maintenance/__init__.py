"""Looking after a learner: measuring it, taking sessions back, changing classes, forgetting."""

from lord.maintenance.classes import merge_classes, remove_class, rename_class
from lord.maintenance.drift import measure_drift
from lord.maintenance.evaluate import evaluate_images
from lord.maintenance.forget import forget_pictures
from lord.maintenance.inspect import inspect_learner
from lord.maintenance.suggest import suggest_images
from lord.maintenance.undo import undo_sessions

__all__ = [
    "evaluate_images",
    "forget_pictures",
    "inspect_learner",
    "measure_drift",
    "merge_classes",
    "remove_class",
    "rename_class",
    "suggest_images",
    "undo_sessions",
]
