"""Files on disk: atomic writes, locks between processes, and checkpoints."""

from lord.storage.checkpoint import (
    UnreadableError,
    checked_target,
    digest_of,
    has_state,
    link_state,
    load_state,
    previous,
    remove_state,
    save_state,
)
from lord.storage.files import (
    is_locked,
    json_text,
    locked,
    readable,
    write_atomic,
    write_json,
    write_text,
)

__all__ = [
    "UnreadableError",
    "checked_target",
    "digest_of",
    "has_state",
    "is_locked",
    "json_text",
    "link_state",
    "load_state",
    "locked",
    "previous",
    "readable",
    "remove_state",
    "save_state",
    "write_atomic",
    "write_json",
    "write_text",
]
