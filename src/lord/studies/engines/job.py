"""The jobs of a study, and the code that all engines share."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from operator import length_hint
from pathlib import Path
from typing import Protocol

from lord.config import PARENT, convert, main_name, read_yaml
from lord.data import DECODED, ImageData
from lord.storage import has_state
from lord.studies.engines.forks import Forks
from lord.training.config import RunConfig, flat
from lord.training.folder import (
    CHECKPOINT,
    CONFIG,
    PLUGIN,
    claim,
    is_ours,
    write_config,
    write_plugin,
)

STOPPED = "stopped"
"""The error of a job that the study stopped."""


@dataclass(frozen=True, eq=False)
class Job:
    """A run of a study."""

    config: RunConfig
    folder: Path
    """Folder of the run on this machine. If it holds a checkpoint, the run continues from it."""
    images: ImageData
    """The images that ``config.data`` names, loaded once for all runs of a study."""


class Engine(Protocol):
    """Run jobs, several at a time. Yield each job that ended, with its error or None.

    An engine takes the next job when a slot is free, after its caller has processed all jobs that
    ended. So the next job may depend on the results of earlier ones. If the next job has to wait
    for a running one to end, ``jobs`` gives None instead. Closing the generator stops the running
    jobs; they can be continued later.

    Args:
        slots: number of runs at a time; 0 for one per core.
        plugin: Python file that each run loads.
        should_stop: called for the running jobs repeatedly; a job is stopped if it returns true.
        address: address of a cluster, for an engine that uses one.
    """

    def __call__(
        self,
        jobs: Iterable[Job | None],
        *,
        slots: int,
        plugin: Path | None = None,
        should_stop: Callable[[Job], bool] = lambda _: False,
        address: str | None = None,
    ) -> Generator[tuple[Job, str | None]]: ...


def take_jobs(source: Iterator[Job | None], has_room: Callable[[], bool]) -> Iterator[Job]:
    """Take jobs while a slot is free and a job is ready."""
    while has_room():
        job = next(source, None)
        if job is None:
            return
        yield job


def divide_cores(cores: int, slots: int, jobs: Iterable[Job | None]) -> tuple[int, int]:
    """Return the number of runs at a time, and the CPU threads of a run that does not set them.

    Args:
        cores: number of cores to share.
        slots: number of runs at a time; 0 for one per core. Fewer jobs than that need fewer.
        jobs: the jobs to run. Their number is used if it is known.

    >>> divide_cores(8, 0, iter([])), divide_cores(8, 3, iter([])), divide_cores(2, 5, iter([]))
    ((8, 1), (3, 2), (5, 1))
    """
    slots = slots or cores
    slots = min(slots, length_hint(jobs) or slots)
    return slots, max(cores // slots, 1)


def prepare(job: Job, threads: int) -> None:
    """Write the job's configuration to its folder, and remove results of other runs.

    Raises:
        UserError: if the folder cannot be written.
    """
    if not has_state(job.folder / CHECKPOINT):
        claim(job.folder, overwrite=is_ours(job.folder))
    elif is_ours(job.folder):  # another number of threads would change the last bits
        before = read_yaml(job.folder / CONFIG).get("threads", threads)
        threads = convert("threads", before, int)
    threads = job.config.training.threads or threads
    write_plugin(job.folder, job.config.plugin)
    write_config(job.folder, flat(job.config) | {"threads": threads})


def plugin_of(job: Job, given: Path | None) -> Path | None:
    """Return the plug-in that a run loads: the copy in its folder, which nobody edits meanwhile.

    Args:
        given: the plug-in of the study.
    """
    hashes = job.config.plugin
    return job.folder / PLUGIN / main_name(hashes) if hashes else given


class Process(Protocol):
    """A run that was started: a part of ``subprocess.Popen``."""

    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, number: int, /) -> None: ...
    def kill(self) -> None: ...


def start(
    folder: Path, plugin: Path | None, key: str | None, forks: Forks | None = None
) -> Process:
    """Start the run configured in a folder, as a process that ends when this one does.

    Args:
        folder: folder of the run, with its config.yaml.
        plugin: Python file that the run loads.
        key: key of the decoded images in the cache; None if the cache does not have them.
        forks: what forks runs; None starts a new Python.
    """
    arguments = ["run", "--resume", "--quiet"]
    arguments += ["--config", str(folder / CONFIG), "--out", str(folder)]
    arguments += ["--plugin", str(plugin)] if plugin else []
    variables, file = {DECODED: key} if key else {}, folder / "log.txt"
    if forks is not None:
        return forks.start(arguments, file, variables)
    command = [sys.executable, "-m", "lord", *arguments]
    environment = os.environ | {PARENT: str(os.getpid())} | variables
    with file.open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)


def stop_processes(*processes: Process) -> None:
    """Interrupt processes, and kill those that have not ended after ten seconds."""
    for process in processes:
        process.send_signal(signal.SIGINT)
    for process in processes:
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def failure(folder: Path, code: int) -> str | None:
    """Return why a run failed and where its log is; None if it succeeded."""
    return f"{last_message(folder, code)} (see {folder / 'log.txt'})" if code else None


def last_message(folder: Path, code: int) -> str:
    """Return the last error in a run's log, or else its last line; without one, its exit code."""
    lines = (folder / "log.txt").read_text(errors="replace").strip().splitlines()
    if not lines:
        return f"ended with code {code}"
    errors = [line for line in lines if line.startswith("error: ")]  # a traceback may follow
    return (errors or lines)[-1].removeprefix("error: ")
