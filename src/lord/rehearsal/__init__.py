"""The samples' redundancy: which are kept, and how often they are replayed."""

from lord.rehearsal.buffer import Buffer
from lord.rehearsal.schedule import admission_probability, chance, is_due

__all__ = ["Buffer", "admission_probability", "chance", "is_due"]
