"""What happens on a node of a cluster: a run in a folder of its own, whose files are sent home.

This node and the one the study was started on share no files. The run is the same process as
everywhere else; the task beside it watches its folder.
"""

import os
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock

from lord.config import UserError
from lord.data import cache_folder, holds, store
from lord.storage import previous
from lord.studies.engines.job import complaint, start
from lord.training.folder import CHECKPOINT, CONFIG

POLL = 0.2
"""Seconds between two looks at a run's folder."""
FETCHED = (CONFIG, "environment.json", "metrics.jsonl", CHECKPOINT)
"""What a run goes on from, in the order it is written home: a checkpoint last."""

Files = dict[str, bytes]


@dataclass(frozen=True)
class Parcel:
    """Decoded images on their way to a node: shapes, and where the cluster holds the pieces."""

    key: str
    notes: dict[str, Any]
    arrays: dict[str, tuple[str, tuple[int, ...], list[Any]]]
    """For each array its type, its shape, and references to consecutive pieces of its rows."""


@dataclass(frozen=True)
class Order:
    """All that a node is told of a run."""

    name: str
    files: Files = field(repr=False)
    """Of its folder: its configuration, and what it goes on from."""
    versions: dict[str, str]
    """That results depend on."""
    key: str | None
    """Of its decoded images, where the node's cache holds them or is to."""
    parcel: Parcel | None
    plugin: bytes | None


@dataclass(frozen=True)
class Report:
    """What a node says of a run: new files, and at the end how it ended."""

    files: Files = field(repr=False)
    code: int | None = None
    said: str = ""


def versions() -> dict[str, str]:
    return {
        "lord": version("lord-cl"),
        "torch": torch.__version__.split("+")[0],
    }


def task(order: Order) -> Iterator[Report]:
    """What the cluster is given to do."""
    yield from carry_out(order, import_module("ray").get)


def carry_out(order: Order, get: Callable[[Any], Any]) -> Iterator[Report]:
    """Run what ``order`` says; report files at every checkpoint and at the end.

    Args:
        get: brings what a reference stands for to this node.
    """
    for name, wanted in order.versions.items():
        if (has := versions()[name]) != wanted:
            said = f"{platform.node()} has {name} {has}, the study {wanted}: install the same"
            yield Report({}, 2, said)
            return
    if order.parcel is not None:
        unpack(order.parcel, get)
    place = Path(tempfile.gettempdir())
    _sweep(place)
    own = Path(tempfile.mkdtemp(prefix=f"lord-run-{os.getpid()}-", dir=place))
    process = None
    try:
        folder = own / order.name
        folder.mkdir()
        for name, content in order.files.items():
            (folder / name).write_bytes(content)
        plugin = own / "plugin.py" if order.plugin is not None else None
        if plugin is not None and order.plugin is not None:
            plugin.write_bytes(order.plugin)
        process = start(folder, plugin, order.key)
        yield from _watch(folder, process)
    finally:
        if process is not None and process.poll() is None:
            process.kill()  # what it has written since its last checkpoint is of no use
            process.wait()
        shutil.rmtree(own, ignore_errors=True)


def _watch(folder: Path, process: "subprocess.Popen[bytes]") -> Iterator[Report]:
    sent = _stamp(folder)
    while (code := process.poll()) is None:
        time.sleep(POLL)
        if (now := _stamp(folder)) != sent:
            sent = now
            # The checkpoint first: what is read after it is at least as far.
            files = _read(folder, [CHECKPOINT])
            yield Report(_read(folder, FETCHED[:-1]) | files)
    names = sorted(file.name for file in folder.iterdir() if file.is_file())
    unsent = (CHECKPOINT, previous(folder / CHECKPOINT).name)
    names = [name for name in names if not name.startswith(".") and name not in unsent]
    if code:
        yield Report(_read(folder, names), code, complaint(folder, code))
        return
    names.sort(key="summary.json".__eq__)  # which says that a run is finished: last
    yield Report(_read(folder, names), 0)


def _stamp(folder: Path) -> int | None:
    """Of the last checkpoint."""
    try:
        return (folder / CHECKPOINT).stat().st_mtime_ns
    except FileNotFoundError:
        return None


def _read(folder: Path, names: list[str] | tuple[str, ...]) -> Files:
    files = {}
    for name in names:
        try:
            files[name] = (folder / name).read_bytes()
        except FileNotFoundError:  # not written yet, or already cleared away
            continue
    return files


def _sweep(place: Path) -> None:
    """Clear away what tasks that were killed have left on this node."""
    for folder in place.glob("lord-run-*-*"):
        owner = folder.name.split("-")[2]
        if owner.isdigit() and not _alive(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def unpack(parcel: Parcel, get: Callable[[Any], Any]) -> None:
    """Put images into this node's cache, unless they are there: once, whoever comes first.

    Raises:
        UserError: if the cache cannot be written.
    """

    def fill(draft: Path) -> None:
        for name, (kind, shape, pieces) in parcel.arrays.items():
            array = np.lib.format.open_memmap(
                draft / f"{name}.npy", "w+", dtype=np.dtype(kind), shape=shape
            )
            row = 0
            for piece in pieces:
                rows = get(piece)
                array[row : row + len(rows)] = rows
                row += len(rows)
            array.flush()

    try:
        cache_folder().mkdir(parents=True, exist_ok=True)
        with FileLock(cache_folder() / f"{parcel.key}.lock"):
            if not holds(parcel.key):
                store(parcel.key, fill, parcel.notes)
    except OSError as error:
        where = f"'{cache_folder()}' on {platform.node()}"
        raise UserError(f"cannot keep images in {where}: {error.strerror}") from None
