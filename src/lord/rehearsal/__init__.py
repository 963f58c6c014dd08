"""The rehearsal buffer: which samples are kept, and when they are replayed."""

from lord.rehearsal.buffer import Buffer
from lord.rehearsal.replacement import KEEPING, Balanced, LossAware
from lord.rehearsal.schedule import admission_probability, chance, is_due

__all__ = [
    "KEEPING",
    "Balanced",
    "Buffer",
    "LossAware",
    "admission_probability",
    "chance",
    "is_due",
]
