"""How long a session trains: passes over its images, or a budget."""

import math

from lord.config import UserError, check_budget
from lord.methods import METHODS
from lord.streams import batch_count

STEPS = 150
"""Steps that a session should make, where no number of passes is given. Chosen by
``results/learner-networks``, as is the range of passes."""
FEWEST, MOST = 5, 20
"""Passes that it makes at least and at most, whatever the steps."""


def passes(images: int, epochs: int | None, batch: int) -> int:
    """Return the number of passes over the images of a session.

    Args:
        images: how many there are.
        epochs: passes that were asked for; None if none were.
        batch: images of a step.

    >>> [passes(images, epochs=None, batch=32) for images in (20, 400, 960, 5000)]
    [20, 12, 5, 5]
    """
    if epochs is not None:
        return epochs
    enough = math.ceil(STEPS / batch_count(images, batch))
    return min(max(enough, FEWEST), MOST)


def session_budget(
    method: str, seconds: float | None, flops: float | None
) -> tuple[float | None, float | None]:
    """Return the budget of a session, checked. A closed-form head takes one pass, without budget.

    Raises:
        UserError: if it is not a budget, or the method does not learn in its steps.
    """
    check_budget(seconds, flops)
    if METHODS[method].method.traits.features == "only":
        return None, None
    if (seconds or flops) and not METHODS[method].method.traits.by_steps:
        raise UserError(
            f"cannot be used with '{method}', which trains when a session ends",
            field="seconds" if seconds else "flops",
            hint="set `epochs` instead",
        )
    return seconds, flops
