"""Field rules and the one-line error; each ``Config`` stands in the file it configures."""

from lord.config.rules import (
    LostError,
    Settings,
    UserError,
    build,
    check_budget,
    choose,
    chosen,
    fields,
    first_line,
    nearest,
)
from lord.config.variant import assigned, parse_variant

__all__ = [
    "LostError",
    "Settings",
    "UserError",
    "assigned",
    "build",
    "check_budget",
    "choose",
    "chosen",
    "fields",
    "first_line",
    "nearest",
    "parse_variant",
]
