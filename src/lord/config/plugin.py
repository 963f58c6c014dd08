"""Plug-ins: Python files that register methods, networks or streams."""

import importlib.util
import os
import traceback
from pathlib import Path

from lord.config.errors import UserError, first_line

LOADED: set[str] = set()
"""Paths of the plug-ins that were loaded."""


def load_plugin(path: Path) -> None:
    """Run a Python file that calls ``register``, ``register_network`` or ``register_stream``.

    Raises:
        UserError: if it cannot be run.
    """
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if not path.exists():
        raise UserError("does not exist", field="plugin", given=path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise UserError(field="plugin", given=path, allowed="a Python file")
    LOADED.add(str(spec.origin))
    try:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    except UserError:
        raise
    except Exception as error:
        why = f"cannot be run: {type(error).__name__}: {error}"
        raise UserError(why, field="plugin", given=path) from error


def in_plugin(error: BaseException) -> str | None:
    """Return an error in one line, with the plug-in and the line that it came from.

    If no line of a plug-in is in its traceback, the innermost line of this package is named.

    Returns:
        None if no plug-in was loaded.
    """
    if not LOADED:
        return None
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if frame.filename in LOADED]
    ours = [frame for frame in frames if f"{os.sep}lord{os.sep}" in frame.filename]
    frame = (theirs or ours or frames)[-1]
    where = f"'{frame.filename}'" if theirs else f"'{min(LOADED)}': {frame.filename}"
    what = f"{type(error).__name__}: {first_line(error)}"
    return f"plugin {where}, line {frame.lineno}, in {frame.name}: {what}"
