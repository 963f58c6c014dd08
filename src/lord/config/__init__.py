"""Settings: their types and ranges, how they are parsed, and the errors that answer wrong ones."""

from lord.config.errors import (
    PARENT,
    GuardRailError,
    LockedError,
    LostError,
    NothingNewError,
    RefusedError,
    UserError,
    first_line,
)
from lord.config.file import read_yaml
from lord.config.parse import (
    Config,
    Value,
    as_path,
    build,
    check_budget,
    choose,
    chosen,
    convert,
    expect,
    fields,
    nearest,
    unknown_setting,
)
from lord.config.plugin import in_plugin, load_plugin, note_owner, sources_of, where_in_plugin
from lord.config.seeding import seeded
from lord.config.source import CONTENTS, Plugin, check_unchanged, main_name, read_plugin
from lord.config.types import describe
from lord.config.variant import Variant, as_variant, assigned, parse_variant, run_folder, typed

__all__ = [
    "where_in_plugin",
    "sources_of",
    "note_owner",
    "read_plugin",
    "main_name",
    "check_unchanged",
    "Plugin",
    "CONTENTS",
    "PARENT",
    "Config",
    "GuardRailError",
    "LockedError",
    "LostError",
    "NothingNewError",
    "RefusedError",
    "UserError",
    "Value",
    "Variant",
    "as_path",
    "as_variant",
    "assigned",
    "build",
    "check_budget",
    "choose",
    "chosen",
    "convert",
    "describe",
    "expect",
    "fields",
    "first_line",
    "in_plugin",
    "load_plugin",
    "nearest",
    "parse_variant",
    "read_yaml",
    "run_folder",
    "seeded",
    "typed",
    "unknown_setting",
]
