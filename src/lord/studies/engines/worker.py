"""A run on a node of a cluster, in a temporary folder.

The node shares no files with the machine that started the study. A task starts the run as a
process, watches its folder, and sends its files back.
"""

import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock

from lord.config import UserError
from lord.data import cache_folder, holds, store
from lord.storage import previous
from lord.studies.engines.job import Process, last_message, start
from lord.training.folder import CHECKPOINT, CONFIG

POLL = 0.2
"""Seconds between two checks of a run's folder."""
RESUMED_FROM = (CONFIG, "environment.json", "metrics.jsonl", CHECKPOINT)
"""Files from which a run resumes, in the order in which they are sent back: the checkpoint last."""

Files = dict[str, bytes]
Reference = object
"""A handle of the cluster for an object that it holds."""


@dataclass(frozen=True)
class Parcel:
    """Decoded images for a node: their shapes, and references to their pieces."""

    key: str
    notes: dict[str, list[str]]
    arrays: dict[str, tuple[str, tuple[int, ...], list[Reference]]]
    """Type and shape of each array, and references to consecutive pieces of its rows."""


@dataclass(frozen=True)
class Order:
    """Everything that a node needs for a run."""

    name: str
    files: Files = field(repr=False)
    """The run's configuration, and the files from which it resumes."""
    versions: dict[str, str]
    """Versions of packages that affect results."""
    key: str | None
    """The key of the decoded images in the node's cache."""
    parcel: Parcel | None
    """The images, if the node's cache may lack them."""
    plugin: Files
    """The source files of the plug-in by name, the main one first; empty without one."""


@dataclass(frozen=True)
class Report:
    """New files of a run; with the last report, its exit code and error."""

    files: Files = field(repr=False)
    code: int | None = None
    error: str = ""


def versions() -> dict[str, str]:
    """The versions of packages that affect results, without the build of PyTorch."""
    return {
        "lord": version("lord-cl"),
        "torch": torch.__version__.split("+")[0],
    }


def run_task(order: Order) -> Iterator[Report]:
    """The task that the cluster runs."""
    yield from run_order(order, import_module("ray").get)


def run_order(order: Order, get: Callable[[Reference], np.ndarray]) -> Iterator[Report]:
    """Start a run. Report its files at every checkpoint and at the end.

    Args:
        order: the run to start.
        get: fetches an object to this node by its reference.
    """
    for name, wanted in order.versions.items():
        if (found := versions()[name]) != wanted:
            error = (
                f"{platform.node()} has {name} {found}, but the study was started with {wanted}; "
                "install the same version"
            )
            yield Report({}, 2, error)
            return
    if order.parcel is not None:
        unpack(order.parcel, get)
    with _run_folder() as place:
        folder = place / order.name
        folder.mkdir()
        for name, content in order.files.items():
            (folder / name).write_bytes(content)
        plugin = None
        for name, content in order.plugin.items():
            file = place / "source" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            plugin = plugin or place / "source" / name.partition("/")[0]
        process = start(folder, plugin, order.key)
        try:
            yield from _watch(folder, process)
        finally:
            if process.poll() is None:
                process.kill()  # files that are newer than the checkpoint are not needed
                process.wait()


@contextmanager
def _run_folder() -> Iterator[Path]:
    """Make a temporary folder. Remove it at the end, with the folders of killed tasks."""
    place = Path(tempfile.gettempdir())
    for folder in place.glob("lord-run-*-*"):
        owner = folder.name.split("-")[2]
        if owner.isdigit() and not _is_running(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"lord-run-{os.getpid()}-", dir=place))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _watch(folder: Path, process: Process) -> Iterator[Report]:
    """Report the run's files at each new checkpoint, and all others when it has ended."""
    sent = _checkpoint_time(folder)
    while (code := process.poll()) is None:
        time.sleep(POLL)
        if (now := _checkpoint_time(folder)) != sent:
            sent = now
            # The checkpoint is read first, so the other files are at least as new.
            checkpoint = _read(folder, [CHECKPOINT])
            yield Report(_read(folder, RESUMED_FROM[:-1]) | checkpoint)
    unsent = (CHECKPOINT, previous(folder / CHECKPOINT).name)
    names = sorted(
        file.name
        for file in folder.iterdir()
        if file.is_file() and not file.name.startswith(".") and file.name not in unsent
    )
    if code:
        yield Report(_read(folder, names), code, last_message(folder, code))
        return
    names.sort(key="summary.json".__eq__)  # last, because it marks a run as finished
    yield Report(_read(folder, names), 0)


def _checkpoint_time(folder: Path) -> int | None:
    """Return when the last checkpoint was written."""
    with suppress(FileNotFoundError):
        return (folder / CHECKPOINT).stat().st_mtime_ns
    return None


def _read(folder: Path, names: Iterable[str]) -> Files:
    """Read the files that exist."""
    files = {}
    for name in names:
        with suppress(FileNotFoundError):  # not written yet, or removed already
            files[name] = (folder / name).read_bytes()
    return files


def unpack(parcel: Parcel, get: Callable[[Reference], np.ndarray]) -> None:
    """Write images to this node's cache, unless another task has done so.

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
        raise UserError(f"cannot write images to {where}: {error.strerror}") from None
