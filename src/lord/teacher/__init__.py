"""Teacher redundancy: a small frozen sub-network of the student preserves earlier tasks."""

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
