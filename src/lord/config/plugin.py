"""A Python file with methods or networks of one's own."""

import importlib.util
import os
import traceback
from pathlib import Path

from lord.config.errors import UserError, first_line

LOADED: set[str] = set()
"""Their paths."""


def load_plugin(path: Path) -> None:
    """Run a Python file that registers methods or networks (``register``, ``register_network``).

    Raises:
        UserError: if it cannot be run.
    """
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if not path.exists():
        raise UserError(f"plugin: no such file as '{path}'")
    if not path.is_file() or spec is None or spec.loader is None:
        raise UserError(f"plugin: expected a Python file, got '{path}'")
    LOADED.add(str(spec.origin))
    try:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"plugin '{path}': {type(error).__name__}: {error}") from error


def in_plugin(error: BaseException) -> str | None:
    """An error in one line, with the innermost line of a plug-in it came from, or else the line of
    ours that met it; None, if no plug-in was loaded."""
    if not LOADED:
        return None
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if frame.filename in LOADED]
    ours = [frame for frame in frames if f"{os.sep}lord{os.sep}" in frame.filename]
    frame = (theirs or ours or frames)[-1]
    where = f"'{frame.filename}'" if theirs else f"'{min(LOADED)}': {frame.filename}"
    said = f"{type(error).__name__}: {first_line(error)}"
    return f"plugin {where}, line {frame.lineno}, in {frame.name}: {said}"
