"""The source of a plug-in: its files, and their hashes."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from lord.config.errors import UserError

CONTENTS: dict[str, bytes] = {}
"""SHA-256 -> content of each file of a plug-in that was read."""


@dataclass(frozen=True)
class Plugin:
    """A plug-in as it was read.

    Attributes:
        path: its file, or the folder of its package.
        hashes: name of each source file -> SHA-256. Names are relative to the folder that ``path``
            is in. The first file is the plug-in's main one.
    """

    path: Path
    hashes: dict[str, str]

    @property
    def main(self) -> Path:
        """The file that is run first."""
        return self.path / "__init__.py" if self.path.is_dir() else self.path


def read_plugin(path: Path) -> Plugin:
    """Read the source files of a plug-in, without running them.

    Its files are the plug-in and the modules beside it that it imports. A package has all Python
    files in its folder.

    Raises:
        UserError: if there is no such plug-in, or a file of it cannot be read.
    """
    if not path.exists():
        raise UserError("does not exist", field="plugin", given=path)
    package = (path / "__init__.py").is_file()
    if not package and not (path.is_file() and path.suffix == ".py"):
        allowed = "a Python file, or a folder with an __init__.py"
        raise UserError(field="plugin", given=path, allowed=allowed)
    hashes, place = {}, path.resolve().parent
    try:
        for file in _package(path.resolve()) if package else _with_imports(path.resolve(), set()):
            content = file.read_bytes()
            hashes[file.relative_to(place).as_posix()] = digest = sha256(content).hexdigest()
            CONTENTS[digest] = content
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", field="plugin", given=path) from None
    return Plugin(path, hashes)


def main_name(hashes: Mapping[str, str]) -> str:
    """Return the file or folder to load, from the names of a plug-in's files.

    >>> main_name({"mine.py": "", "parts.py": ""}), main_name({"mine/__init__.py": ""})
    ('mine.py', 'mine')
    """
    return next(iter(hashes)).partition("/")[0]


def check_unchanged(before: object, now: object, folder: Path) -> None:
    """Check that a plug-in has the same source as when the run in a folder was made.

    A run that recorded no source is not checked: versions before did not record it.

    Raises:
        UserError: names the first file that differs.
    """
    if not (isinstance(before, Mapping) and before):
        return
    now = now if isinstance(now, Mapping) else {}
    for name in dict.fromkeys([*before, *now]):
        then, today = (each.get(name, "none")[:12] for each in (before, now))
        if before.get(name) != now.get(name):
            copy = folder / "plugin" / main_name(before)
            raise UserError(
                f"'{name}' is not the file that the run in '{folder}' was made with: SHA-256 "
                f"{then} then, {today} now",
                field="plugin",
                hint=f"set `plugin` to the copy '{copy}', choose another `out`, or set `overwrite`",
            )


def _package(folder: Path) -> Iterator[Path]:
    """Yield the Python files of a package, the main one first."""
    main = folder / "__init__.py"
    yield main
    yield from sorted(file for file in folder.rglob("*.py") if file != main)


def _with_imports(file: Path, seen: set[Path]) -> Iterator[Path]:
    """Yield a file, and the modules and packages in its folder that it imports."""
    seen.add(file)
    yield file
    for name in _imported(file.read_bytes()):
        module, package = file.parent / f"{name}.py", file.parent / name
        if (package / "__init__.py").is_file() and package not in seen and name != "lord":
            seen.add(package)
            yield from _package(package)
        elif module.is_file() and module not in seen:
            yield from _with_imports(module, seen)


def _imported(source: bytes) -> list[str]:
    """Return the first parts of the names that a module imports."""
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError):  # running it says where
        return []
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    return [name.partition(".")[0] for name in dict.fromkeys(names) if name]
