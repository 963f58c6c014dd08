"""Field rules and the one-line error; each ``Config`` stands in the file it configures."""

from lord.config.rules import LostError, Settings, UserError, build, choose, nearest
from lord.config.variant import assigned, parse_variant

__all__ = [
    "LostError",
    "Settings",
    "UserError",
    "assigned",
    "build",
    "choose",
    "nearest",
    "parse_variant",
]
