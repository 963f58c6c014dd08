"""Student redundancy: the student starts narrow and grows before each task."""

from lord.student.growth import (
    default_pace,
    growth_steps,
    level_by_flops,
    level_by_images,
    levels_over,
)
from lord.student.ladder import Ladder, round_channels

__all__ = [
    "Ladder",
    "default_pace",
    "growth_steps",
    "level_by_flops",
    "level_by_images",
    "levels_over",
    "round_channels",
]
