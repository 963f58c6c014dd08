"""The teacher's redundancy: a small frozen sub-network that stands for what was learnt."""

from lord.teacher.importance import by_importance
from lord.teacher.search import (
    Candidate,
    Teacher,
    draw_candidates,
    freeze,
    search_teacher,
)

__all__ = [
    "Candidate",
    "Teacher",
    "by_importance",
    "draw_candidates",
    "freeze",
    "search_teacher",
]
