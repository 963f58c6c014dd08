"""The growth schedule: the student's level in each task."""

import math
from collections.abc import Sequence


def default_pace(tasks: int) -> float:
    """Return the paper's pace (r) for a number of tasks: 4 for five, 3.5 for ten, otherwise 1."""
    return {5: 4.0, 10: 3.5}.get(tasks, 1.0)


def growth_steps(tasks: int, pace: float | None = None) -> tuple[int, ...]:
    """Return the levels gained before each task, which fall from ``pace`` to 0 along a cosine.

    Before task i of T, the student gains r/2 * (1 + cos(pi * i / (T-1))) levels, rounded half to
    even (Liu et al. 2025). It gains at least 1, except before the last task.

    >>> growth_steps(5)
    (4, 3, 2, 1, 0)

    Args:
        tasks: number of tasks in the stream (T).
        pace: levels gained before the first task (r). None: chosen by the number of tasks.
    """
    pace = default_pace(tasks) if pace is None else pace
    steps = []
    for task in range(tasks):
        fraction = task / (tasks - 1) if tasks > 1 else 0.0
        step = round(pace / 2 * (1 + math.cos(math.pi * fraction)))
        steps.append(step if task == tasks - 1 else max(step, 1))
    return tuple(steps)


def levels_over(tasks: int, top: int, pace: float | None = None) -> tuple[int, ...]:
    """Return the student's level in each task. Levels count from 1.

    >>> levels_over(5, top=10)
    (4, 7, 9, 10, 10)

    Args:
        tasks: number of tasks in the stream.
        top: the highest level, at which growth stops. The authors' code has no limit.
        pace: levels gained before the first task. None: chosen by the number of tasks.
    """
    levels, level = [], 0
    for step in growth_steps(tasks, pace):
        level = min(level + step, top)
        levels.append(max(level, 1))
    return tuple(levels)


MISSING = 0.5
"""Share of the levels that the student lacks in the first task, with ``level_by_images``."""


def level_by_images(first: int, seen: int, top: int) -> int:
    """Return the level for a task by the images seen so far. It needs no number of tasks.

    The student lacks half of its levels in the first task. What it lacks is halved each time the
    images seen have doubled. Levels are rounded up.

    >>> [level_by_images(first=100, seen=100 * task, top=10) for task in (1, 2, 3, 5, 6)]
    [5, 8, 9, 9, 10]

    Args:
        first: number of images of the first task.
        seen: number of images of all tasks so far and of the coming one. Each counts once a task.
        top: the highest level.
    """
    return math.ceil(round(top * (1 - MISSING * first / seen), 6))


def level_by_flops(flops: float, step_flops: Sequence[float], steps: float) -> int:
    """Return the highest level at which a task's FLOPs pay for the steps it needs, or level 1.

    A narrower student needs fewer steps, in proportion to its FLOPs. So its size and the number of
    its steps grow equally with the budget. For language models, Hoffmann et al. (2022,
    arXiv:2203.15556) found that this is best.

    >>> level_by_flops(4e6, step_flops=[1e4, 5e4, 1e5, 2e5], steps=40)
    3

    Args:
        flops: training FLOPs of the task.
        step_flops: FLOPs of a step at each level.
        steps: steps that the highest level needs.
    """
    needed = [steps * each / step_flops[-1] * each for each in step_flops]
    paid = [level for level, each in enumerate(needed, 1) if each <= flops]
    return max(paid, default=1)
