"""Runs as processes on this machine."""

import os
import subprocess
import time
from collections.abc import Callable, Generator, Iterable
from pathlib import Path

from lord.config import UserError
from lord.data import holds
from lord.studies.engines.job import STOPPED, Job, complaint, end, prepare, share, start

POLL = 0.1
"""Seconds between two looks at what is running."""


def run_here(
    jobs: Iterable[Job | None],
    *,
    slots: int,
    plugin: Path | None = None,
    unwanted: Callable[[Job], bool] = lambda _: False,
    address: str | None = None,
) -> Generator[tuple[Job, str | None]]:
    """See ``Engine``. A run that is killed is not tried again: the user learns of it.

    Raises:
        UserError: for an address, or a folder that cannot be written.
    """
    if address is not None:
        raise UserError(f"address: only for --engine ray, got '{address}'")
    slots, threads = share(cores(), slots, jobs)
    source, more = iter(jobs), True
    running: dict[Job, subprocess.Popen[bytes]] = {}
    try:
        while more or running:
            while more and len(running) < slots:
                job = next(source, Job)
                if job is None:
                    break
                if isinstance(job, Job):
                    prepare(job, threads)
                    key = job.images.key
                    running[job] = start(job.folder, plugin, key if holds(key) else None)
                else:
                    more = False
            ended = _ended(running, unwanted)
            for job, said in ended:
                del running[job]
                yield job, said
            if running and not ended:
                time.sleep(POLL)
    finally:
        end(*running.values())


def cores() -> int:
    """Of this machine, as far as this process may use them."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _ended(
    running: dict[Job, "subprocess.Popen[bytes]"], unwanted: Callable[[Job], bool]
) -> list[tuple[Job, str | None]]:
    ended: list[tuple[Job, str | None]] = []
    for job, process in running.items():
        code = process.poll()
        if code is None:
            if unwanted(job):
                end(process)
                ended.append((job, STOPPED))
        elif code:
            said = complaint(job.folder, code)
            ended.append((job, f"{said} (see {job.folder / 'log.txt'})"))
        else:
            ended.append((job, None))
    return ended
