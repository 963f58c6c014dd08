"""When the student grows: much before the early tasks, little before the late ones."""

import math


def pace(tasks: int) -> float:
    """r of the growth schedule by number of tasks: 4 for five, 3.5 for ten, otherwise 1."""
    return {5: 4.0, 10: 3.5}.get(tasks, 1.0)


def growth_steps(tasks: int, rate: float | None = None) -> tuple[int, ...]:
    """Levels gained before each task: a cosine falling from ``rate`` to 0 over the stream.

    At least 1, except before the last task. Halves round to even.

    >>> growth_steps(5)
    (4, 3, 2, 1, 0)
    """
    rate = pace(tasks) if rate is None else rate
    steps = []
    for task in range(tasks):
        fraction = task / (tasks - 1) if tasks > 1 else 0.0
        step = round(rate / 2 * (1 + math.cos(math.pi * fraction)))
        steps.append(step if task == tasks - 1 else max(step, 1))
    return tuple(steps)


def levels_over(tasks: int, top: int, rate: float | None = None) -> tuple[int, ...]:
    """The student's level during each task, at most ``top``.

    >>> levels_over(5, top=10)
    (4, 7, 9, 10, 10)
    """
    levels, level = [], 0
    for step in growth_steps(tasks, rate):
        level = min(level + step, top)
        levels.append(max(level, 1))
    return tuple(levels)
