"""What an engine is given, and what all engines do alike."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from operator import length_hint
from pathlib import Path
from typing import Protocol

from lord.data import DECODED, ImageData
from lord.storage import has_state
from lord.training.config import RunConfig, flat, read_yaml
from lord.training.folder import CHECKPOINT, CONFIG, claim, is_ours, write_config
from lord.training.run import PARENT

STOPPED = "stopped"
"""What is said of a job that was unwanted."""


@dataclass(frozen=True, eq=False)
class Job:
    """A run to be run. The folder is on this machine; one that holds a checkpoint goes on."""

    config: RunConfig
    folder: Path
    images: ImageData
    """What ``config.data`` names; loaded once for all runs of a study."""


class Engine(Protocol):
    """Runs jobs, several at a time, and yields each with what went wrong, or None.

    A job is taken from ``jobs`` only when there is room for it, after everything yielded before
    has been dealt with, so the next may depend on how others ended; None instead of a job says
    that there is none until another has ended. Closing the generator stops what is running; its
    folders can be gone on with.

    Args:
        slots: runs at a time; 0 for one a core.
        plugin: Python file each run is told of.
        unwanted: asked of running jobs again and again; one that is unwanted is stopped.
        address: of a cluster, for an engine that has one.
    """

    def __call__(
        self,
        jobs: Iterable[Job | None],
        *,
        slots: int,
        plugin: Path | None = None,
        unwanted: Callable[[Job], bool] = lambda _: False,
        address: str | None = None,
    ) -> Generator[tuple[Job, str | None]]: ...


def share(cores: int, slots: int, jobs: Iterable[Job | None]) -> tuple[int, int]:
    """Runs at a time, and CPU threads of each that names none itself.

    Args:
        slots: runs at a time as asked for; 0 for one a core, or fewer where ``jobs`` are fewer.

    >>> share(8, 0, iter([])), share(8, 3, iter([])), share(2, 5, iter([]))
    ((8, 1), (3, 2), (5, 1))
    """
    slots = slots or cores
    slots = min(slots, length_hint(jobs) or slots)
    return slots, max(cores // slots, 1)


def prepare(job: Job, threads: int) -> None:
    """Make the folder ready, empty but for what a run goes on from, and its configuration."""
    if not has_state(job.folder / CHECKPOINT):
        claim(job.folder, overwrite=is_ours(job.folder))
    elif is_ours(job.folder):  # it goes on with as many threads: they decide the last bits
        threads = read_yaml(job.folder / CONFIG).get("threads", threads)
    own = job.config.training.threads or threads
    write_config(job.folder, flat(job.config) | {"threads": own})


def start(folder: Path, plugin: Path | None, key: str | None) -> "subprocess.Popen[bytes]":
    """Run what a folder is configured for, in a process that ends with this one.

    Args:
        key: of its decoded images, where the cache holds them.
    """
    command = [sys.executable, "-m", "lord", "run", "--resume", "--quiet"]
    command += ["--config", str(folder / CONFIG), "--out", str(folder)]
    command += ["--plugin", str(plugin)] if plugin else []
    environment = os.environ | {PARENT: str(os.getpid())} | ({DECODED: key} if key else {})
    with (folder / "log.txt").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)


def end(*processes: "subprocess.Popen[bytes]") -> None:
    """Stop processes: by Ctrl-C, and where that is not heeded, by force."""
    for process in processes:
        process.send_signal(signal.SIGINT)
    for process in processes:
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def complaint(folder: Path, code: int) -> str:
    """The last thing a run said before it ended with ``code``."""
    said = (folder / "log.txt").read_text(errors="replace").strip().splitlines()
    return said[-1].removeprefix("error: ") if said else f"ended with code {code}"
