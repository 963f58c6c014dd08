"""A Python file with methods or networks of one's own."""

import importlib.util
import traceback
from pathlib import Path

from lord.config.rules import UserError, first_line

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
    """An error in one line, with the innermost line of a plug-in it came from; None, if from none.

    What it meets inside of a method would else be told by pages of ours.
    """
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename in LOADED:
            said = f"{type(error).__name__}: {first_line(error)}"
            return f"plugin '{frame.filename}', line {frame.lineno}, in {frame.name}: {said}"
    return None
