"""The student's redundancy: a network that starts small and grows before each task."""

from lord.student.growth import growth_steps, levels_over
from lord.student.ladder import Ladder, rounded

__all__ = ["Ladder", "growth_steps", "levels_over", "rounded"]
