"""The rehearsal buffer: which samples are kept, and when they are replayed."""

from lord.rehearsal.buffer import Buffer
from lord.rehearsal.replacement import Balanced, LossAware
from lord.rehearsal.schedule import admission_probability, chance
from lord.rehearsal.storage import Storage

__all__ = [
    "Balanced",
    "Buffer",
    "LossAware",
    "Storage",
    "admission_probability",
    "chance",
]
