"""Field rules and the one-line error; each ``Config`` stands in the file it configures."""

from lord.config.plugin import in_plugin, load_plugin
from lord.config.rules import (
    LostError,
    Settings,
    UserError,
    as_path,
    build,
    check_budget,
    choose,
    chosen,
    expect,
    fields,
    first_line,
    nearest,
)
from lord.config.variant import assigned, parse_variant

__all__ = [
    "LostError",
    "Settings",
    "UserError",
    "as_path",
    "assigned",
    "build",
    "check_budget",
    "choose",
    "chosen",
    "expect",
    "fields",
    "first_line",
    "in_plugin",
    "load_plugin",
    "nearest",
    "parse_variant",
]
