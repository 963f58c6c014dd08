"""Field rules and the one-line error; each ``Config`` stands in the file it configures."""

from lord.config.rules import Settings, UserError, build, choose, nearest

__all__ = ["Settings", "UserError", "build", "choose", "nearest"]
