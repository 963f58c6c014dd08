"""Settings: their types and ranges, how they are parsed, and the errors that answer wrong ones."""

from lord.config.errors import LostError, UserError, first_line
from lord.config.parse import (
    Config,
    as_path,
    build,
    check_budget,
    choose,
    chosen,
    expect,
    fields,
    nearest,
    unknown_setting,
)
from lord.config.plugin import in_plugin, load_plugin
from lord.config.types import describe
from lord.config.variant import assigned, parse_variant

__all__ = [
    "Config",
    "LostError",
    "UserError",
    "as_path",
    "assigned",
    "build",
    "check_budget",
    "choose",
    "chosen",
    "describe",
    "expect",
    "fields",
    "first_line",
    "in_plugin",
    "load_plugin",
    "nearest",
    "parse_variant",
    "unknown_setting",
]
