"""Runs as tasks of a Ray cluster. Their files are sent back to folders on this machine."""

import logging
import math
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np

from lord.config import CONTENTS, UserError, read_plugin
from lord.data import ImageData, arrays_of, holds
from lord.storage import previous, remove_state, write_atomic
from lord.studies.engines.cluster import connected, one_line
from lord.studies.engines.job import STOPPED, Job, divide_cores, prepare, take_jobs
from lord.studies.engines.worker import (
    RESUMED_FROM,
    Files,
    Order,
    Parcel,
    Reference,
    Report,
    run_task,
    versions,
)
from lord.training.folder import CHECKPOINT

LOG = logging.getLogger(__name__)
RETRIES = 3
"""How many times in a row a run may die without progress and still be repeated."""
PIECE = 64 * 2**20
"""Size in bytes of a piece of the images that is sent to the cluster."""
POLL = 0.2
"""Seconds to wait for a report."""
PATIENCE = 10.0
"""Seconds that cancelled tasks have to clean up."""


def run_on_ray(
    jobs: Iterable[Job | None],
    *,
    slots: int,
    plugin: Path | None = None,
    should_stop: Callable[[Job], bool] = lambda _: False,
    address: str | None = None,
) -> Generator[tuple[Job, str | None]]:
    """Run jobs on a Ray cluster; see ``Engine``.

    A run that dies with its worker or node continues from its last checkpoint. Without an address,
    a cluster is started on this machine and shut down at the end.

    Raises:
        UserError: if Ray is not installed, no cluster answers at ``address``, or a folder cannot
            be written.
    """
    with connected(address) as (ray, ours):
        runs = ClusterRuns(ray, plugin, slots, jobs, ours=ours)
        source = iter(jobs)
        try:
            while True:
                for job in take_jobs(source, lambda: len(runs.running) < runs.slots()):
                    runs.submit(job)
                if not runs.running:
                    return
                yield from runs.poll()
                for job in [run.job for run in runs.running.values() if should_stop(run.job)]:
                    runs.stop(job)
                    yield job, STOPPED
        finally:
            runs.stop()


@dataclass
class RunningJob:
    """A job that runs on a node of the cluster."""

    job: Job
    deaths: int = 0
    """How many times it died since its last progress."""


class ClusterRuns:
    """The running jobs of a study on a cluster.

    Args:
        slots: number of runs at a time; 0 for as many as the cluster has room for.
        jobs: the jobs to run. If their number is known, it decides the threads of a run.
        ours: whether the cluster was started by this process, on this machine.
    """

    def __init__(
        self,
        ray: ModuleType,
        plugin: Path | None,
        slots: int,
        jobs: Iterable[Job | None],
        *,
        ours: bool,
    ) -> None:
        self.ray, self.ours, self.wanted = ray, ours, slots
        self.plugin = read_plugin(plugin).hashes if plugin else {}
        self.parcels: dict[str, Parcel] = {}
        self.running: dict[Reference, RunningJob] = {}
        resources = ray.cluster_resources()
        self.gpus = int(resources.get("GPU", 0))
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        self.cpus_of_largest_node = int(max(node.get("CPU", 0) for node in nodes)) or 1
        _, threads = divide_cores(max(int(resources.get("CPU", 0)), 1), slots, jobs)
        self.threads = min(threads, self.cpus_of_largest_node)

    def slots(self) -> int:
        """Return the runs at a time. Nodes may have joined or left the cluster."""
        cpus = int(self.ray.cluster_resources().get("CPU", 0))
        return self.wanted or max(cpus // self.threads, 1)

    def submit(self, job: Job) -> None:
        """Give a job to the cluster."""
        prepare(job, self.threads)
        self._submit(RunningJob(job))

    def poll(self) -> Iterator[tuple[Job, str | None]]:
        """Write the files that have arrived, and yield jobs that ended."""
        ready, _ = self.ray.wait(list(self.running), num_returns=1, timeout=POLL)
        for stream in ready:
            try:
                report: Report = self.ray.get(next(stream))
            except StopIteration:
                yield from self._retry(stream, "ended without a report")
            except self.ray.exceptions.RayError as error:
                yield from self._retry(stream, one_line(error))
            else:
                yield from self._receive(stream, report)

    def stop(self, *jobs: Job) -> None:
        """Cancel the tasks of the given jobs, or of all, and wait until they have cleaned up."""
        streams = [stream for stream, run in self.running.items() if not jobs or run.job in jobs]
        for stream in streams:
            del self.running[stream]
            self.ray.cancel(stream)
        until = time.monotonic() + PATIENCE
        while streams and time.monotonic() < until:
            for stream in self.ray.wait(streams, timeout=POLL)[0]:
                try:
                    self.ray.get(next(stream))
                except (StopIteration, self.ray.exceptions.RayError):
                    streams.remove(stream)
        for stream in streams:
            self.ray.cancel(stream, force=True)

    def _submit(self, run: RunningJob) -> None:
        job, training = run.job, run.job.config.training
        key, parcel = self._images(job)
        names = (*RESUMED_FROM, previous(job.folder / CHECKPOINT).name)
        files = [job.folder / name for name in names]
        sources = job.config.plugin or self.plugin
        order = Order(
            name=job.folder.name,
            files={file.name: file.read_bytes() for file in files if file.exists()},
            versions=versions(),
            key=key,
            parcel=parcel,
            plugin={name: CONTENTS[sha] for name, sha in sources.items()},
        )
        remote = self.ray.remote(
            num_returns="streaming",
            max_retries=0,  # only this machine has the checkpoint that a retry starts from
            num_cpus=min(training.threads or self.threads, self.cpus_of_largest_node),
            num_gpus=0 if training.device == "cpu" else gpu_share(self.gpus, self.wanted),
            name=job.folder.name,
        )(run_task)
        self.running[remote.remote(order)] = run

    def _images(self, job: Job) -> tuple[str | None, Parcel | None]:
        """Return the key of the images in a node's cache, and the images to fill the cache with.

        The digits need neither. Nodes on this machine share its cache and need only the key.
        """
        key = job.images.key
        if job.config.data.data == "digits":
            return None, None
        if self.ours and holds(key):
            return key, None
        if key not in self.parcels:
            self.parcels[key] = pack(job.images, self.ray.put)
        return key, self.parcels[key]

    def _receive(self, stream: Reference, report: Report) -> Iterator[tuple[Job, str | None]]:
        run = self.running[stream]
        folder = run.job.folder
        write_received(folder, report.files)
        if report.code is None:
            run.deaths = 0
        elif report.code < 0:  # killed by a signal, for example because memory ran out
            yield from self._retry(stream, report.error)
        else:
            del self.running[stream]
            if report.code == 0:
                remove_state(folder / CHECKPOINT)
            yield run.job, f"{report.error} (see {folder / 'log.txt'})" if report.code else None

    def _retry(self, stream: Reference, error: str) -> Iterator[tuple[Job, str]]:
        """Submit a job again after its task died; yield it if that happened too often."""
        run = self.running.pop(stream)
        run.deaths += 1
        if run.deaths > RETRIES:
            yield run.job, f"died {run.deaths} times without progress: {error}"
        else:
            LOG.warning("%s: %s; continuing from its last checkpoint", run.job.folder.name, error)
            self._submit(run)


def gpu_share(gpus: int, slots: int) -> float:
    """Return the GPUs of a run: one, or a share of one if runs outnumber GPUs.

    >>> gpu_share(0, 4), gpu_share(4, 0), gpu_share(4, 3), gpu_share(4, 6)
    (0, 1, 1, 0.5)
    """
    if not gpus:
        return 0
    return 1 if slots <= gpus else 1 / math.ceil(slots / gpus)


def write_received(folder: Path, files: Files) -> None:
    """Write files from a node, in the order they were sent. Keep the previous checkpoint.

    Raises:
        UserError: if a file cannot be written.
    """
    for name, content in files.items():
        file = folder / Path(name).name
        keep = previous(file) if name == CHECKPOINT else None
        try:
            write_atomic(file, partial(_write, content), keep)
        except OSError as error:
            raise UserError(f"cannot write '{file}': {error.strerror}") from None


def _write(content: bytes, draft: Path) -> None:
    draft.write_bytes(content)


def pack(images: ImageData, put: Callable[[np.ndarray], Reference], size: int = PIECE) -> Parcel:
    """Send images to the cluster in pieces.

    Args:
        images: the images to send.
        put: stores a piece in the cluster and returns a reference to it.
        size: size of a piece in bytes.
    """
    arrays = {}
    for name, array in arrays_of(images).items():
        rows = max(size // max(array[:1].nbytes, 1), 1)
        pieces = [put(array[at : at + rows]) for at in range(0, len(array), rows)]
        arrays[name] = (array.dtype.str, array.shape, pieces)
    return Parcel(images.key, {"classes": list(images.classes)}, arrays)
