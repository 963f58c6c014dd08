"""Looking after a learner: taking sessions back, changing classes, forgetting pictures."""

from lord.maintenance.classes import merge_classes, remove_class, rename_class
from lord.maintenance.forget import forget_pictures
from lord.maintenance.undo import undo_sessions

__all__ = [
    "forget_pictures",
    "merge_classes",
    "remove_class",
    "rename_class",
    "undo_sessions",
]
