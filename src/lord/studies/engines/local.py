"""Runs as processes on this machine."""

import os
import sys
import time
from collections.abc import Callable, Generator, Iterable
from pathlib import Path

from lord.config import UserError
from lord.data import holds
from lord.studies.engines.forks import Forks
from lord.studies.engines.job import (
    STOPPED,
    Job,
    Process,
    divide_cores,
    failure,
    plugin_of,
    prepare,
    start,
    stop_processes,
    take_jobs,
)

POLL = 0.1
"""Seconds between two checks of the running processes."""
FORKS = sys.platform == "linux"
"""Whether runs are forked. Elsewhere, a fork is not safe or not possible."""


def run_here(
    jobs: Iterable[Job | None],
    *,
    slots: int,
    plugin: Path | None = None,
    should_stop: Callable[[Job], bool] = lambda _: False,
    address: str | None = None,
) -> Generator[tuple[Job, str | None]]:
    """Run jobs as processes; see ``Engine``. A run that is killed is not repeated.

    Raises:
        UserError: if ``address`` is given, or a folder cannot be written.
    """
    if address is not None:
        raise UserError(
            "is for a Ray cluster", field="address", given=address, hint="set `engine` to ray"
        )
    slots, threads = divide_cores(cores(), slots, jobs)
    source = iter(jobs)
    forks = Forks() if FORKS else None
    running: dict[Job, Process] = {}
    try:
        while True:
            for job in take_jobs(source, lambda: len(running) < slots):
                prepare(job, threads)
                key = job.images.key
                known = key if holds(key) else None
                running[job] = start(job.folder, plugin_of(job, plugin), known, forks)
            if not running:
                return
            ended = _ended(running, should_stop)
            for job, error in ended:
                del running[job]
                yield job, error
            if running and not ended:
                time.sleep(POLL)
    finally:
        stop_processes(*running.values())
        if forks is not None:
            forks.close()


def cores() -> int:
    """Return the number of CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _ended(
    running: dict[Job, Process], should_stop: Callable[[Job], bool]
) -> list[tuple[Job, str | None]]:
    """Return the jobs that ended, each with its error or None. Stop those that should stop."""
    ended: list[tuple[Job, str | None]] = []
    for job, process in running.items():
        code = process.poll()
        if code is not None:
            ended.append((job, failure(job.folder, code)))
        elif should_stop(job):
            stop_processes(process)
            ended.append((job, STOPPED))
    return ended
