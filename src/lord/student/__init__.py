"""Student redundancy: the student starts narrow and grows before each task."""

from lord.student.growth import growth_steps, levels_over
from lord.student.ladder import Ladder, round_channels

__all__ = ["Ladder", "growth_steps", "levels_over", "round_channels"]
