"""Settings as typed: NAME=VALUE, and a method with some of its own."""

from typing import Any

from lord.config.errors import UserError


def parse_variant(text: str) -> tuple[str, dict[str, Any]]:
    """A method's name and the settings that follow it.

    >>> parse_variant("lord:rho=0.25:merged=true")
    ('lord', {'rho': '0.25', 'merged': True})
    """
    name, *assignments = text.split(":")
    settings = [assigned(each) for each in assignments]
    names = [own for own, _ in settings]
    if twice := [own for own in names if names.count(own) > 1]:
        raise UserError(f"{twice[0]} is given twice in '{text}'")
    return name, dict(settings)


def assigned(text: str) -> tuple[str, Any]:
    """One ``NAME=VALUE``.

    Raises:
        UserError: if it is none.
    """
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise UserError(f"set: expected NAME=VALUE, such as rho=0.25, got '{text}'")
    return name.strip().replace("-", "_"), {"true": True, "false": False}.get(value, value)
