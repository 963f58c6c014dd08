"""The error for a network that cannot be resized."""

from lord.config import UserError

HINT = "methods that keep the network at full width, such as er, accept it as it is"


def cannot_resize(part: str, why: str, change: str) -> UserError:
    """Return the error for a part of a network that cannot be resized.

    Args:
        part: what cannot be resized, such as ``layer 'conv1'``.
        why: the reason, as a clause.
        change: how to change the network, as an imperative.
    """
    problem = f"{part} cannot be resized: {why}"
    return UserError(problem, field="network", hint=f"{change}; {HINT}")
