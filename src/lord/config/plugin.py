"""Plug-ins: Python files that register methods, networks or streams."""

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from lord.config.errors import UserError, first_line
from lord.config.seeding import seeded
from lord.config.source import Plugin, read_plugin

LOADED: dict[str, Plugin] = {}
"""Path of each source file of the plug-ins that were loaded -> the plug-in."""
OWNERS: dict[tuple[str, str], Plugin] = {}
"""(kind, name) of what plug-ins registered -> the plug-in, such as ("method", "mine")."""
_silent: list[Plugin] = []
"""Plug-ins that registered nothing. What they change is not known."""
_loading: list[Plugin] = []
"""The plug-in that is being loaded; empty if none is."""


def load_plugin(path: Path) -> Plugin:
    """Run a file or package that calls ``register``, ``register_network`` or ``register_stream``.

    It can import modules beside it. What it draws from global generators is always the same.

    Raises:
        UserError: if it cannot be run.
    """
    plugin = read_plugin(path)
    place = plugin.path.resolve().parent
    LOADED.update({str(place / name): plugin for name in plugin.hashes})
    module = _module(plugin)
    try:
        with _importing(place, plugin), seeded("plug-in", 0):
            assert module.__spec__
            assert module.__spec__.loader
            module.__spec__.loader.exec_module(module)
    except UserError:
        raise
    except (Exception, SystemExit) as error:  # a script may end in sys.exit
        why = f"cannot be run: {type(error).__name__}: {first_line(error)}"
        raise UserError(why, field="plugin", given=path) from error
    if plugin not in OWNERS.values():
        _silent.append(plugin)
    return plugin


def _module(plugin: Plugin) -> ModuleType:
    """Make a plug-in's module, not run yet. Dataclasses in it need it among Python's modules."""
    main, name = plugin.main.resolve(), plugin.path.resolve().stem
    places = [str(main.parent)] if plugin.path.is_dir() else None
    spec = spec_from_file_location(name, main, submodule_search_locations=places)
    assert spec
    module = module_from_spec(spec)
    known = getattr(sys.modules.get(name), "__file__", None)
    if name not in sys.modules or known in LOADED:
        sys.modules[name] = module
    elif places:
        raise UserError(
            f"has the name of another module, '{name}'", field="plugin", given=plugin.path
        )
    return module


@contextmanager
def _importing(place: Path, plugin: Plugin) -> Iterator[None]:
    """Let a plug-in import what is beside it, and note what it registers, inside the block."""
    sys.path.insert(0, str(place))
    _loading.append(plugin)
    try:
        yield
    finally:
        _loading.pop()
        sys.path.remove(str(place))


def note_owner(kind: str, name: str) -> None:
    """Note that a name was registered, by the plug-in that is being loaded or by the program."""
    OWNERS.pop((kind, name), None)
    if _loading:
        OWNERS[kind, name] = _loading[-1]


def sources_of(*names: str) -> dict[str, str]:
    """Return name and SHA-256 of each file of the plug-ins that registered any of these names.

    Plug-ins that registered nothing are included, because what they change is not known.
    """
    owners = [owner for (_, name), owner in OWNERS.items() if name in names]
    return {name: sha for plugin in owners + _silent for name, sha in plugin.hashes.items()}


def where_in_plugin(error: BaseException) -> str | None:
    """Return the innermost line of a plug-in that an error came from; None if it came from none."""
    if isinstance(error, SyntaxError) and error.filename in LOADED:
        return f"plugin '{error.filename}', line {error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if frame.filename in LOADED]
    if not theirs:
        return None
    return f"plugin '{theirs[-1].filename}', line {theirs[-1].lineno}, in {theirs[-1].name}"


def in_plugin(error: BaseException) -> str | None:
    """Return an error in one line, with the plug-in and the line that it came from.

    If no line of a plug-in is in its traceback, the innermost line of this package is named.

    Returns:
        None if no plug-in was loaded.
    """
    if not LOADED:
        return None
    where = where_in_plugin(error)
    if where is None:
        frames = traceback.extract_tb(error.__traceback__)
        ours = [frame for frame in frames if f"{os.sep}lord{os.sep}" in frame.filename]
        frame = (ours or frames)[-1]
        where = f"plugin '{min(LOADED)}': {frame.filename}, line {frame.lineno}, in {frame.name}"
    return f"{where}: {type(error).__name__}: {first_line(error)}"
