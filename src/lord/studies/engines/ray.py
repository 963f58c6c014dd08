"""Runs as tasks of a Ray cluster; their files come back into folders here as they go."""

import logging
import math
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lord.config import UserError
from lord.data import ImageData, holds
from lord.storage import previous, remove_state, write_atomic
from lord.studies.engines.cluster import connected, one_line
from lord.studies.engines.job import STOPPED, Job, prepare, share
from lord.studies.engines.worker import FETCHED, Files, Order, Parcel, Report, task, versions
from lord.training.folder import CHECKPOINT

LOG = logging.getLogger(__name__)
RETRIES = 3
"""Times a run that dies is tried again without having come any further."""
PIECE = 64 * 2**20
"""Bytes of images the cluster is given at a time."""
POLL = 0.2
"""Seconds to wait for news."""
PATIENCE = 10.0
"""Seconds that tasks have to clear up after themselves when a study is stopped."""


def run_on_ray(
    jobs: Iterable[Job | None],
    *,
    slots: int,
    plugin: Path | None = None,
    unwanted: Callable[[Job], bool] = lambda _: False,
    address: str | None = None,
) -> Generator[tuple[Job, str | None]]:
    """See ``Engine``. A run that dies with its worker or node goes on from its last checkpoint.

    Without an address a cluster is started on this machine, and shut down in the end.

    Raises:
        UserError: if Ray is not installed, there is no cluster at ``address``, or a folder cannot
            be written.
    """
    with connected(address) as (library, ours):
        fleet = Fleet(library, plugin, slots, jobs, ours=ours)
        source, more = iter(jobs), True
        try:
            while more or fleet.running:
                while more and len(fleet.running) < fleet.slots():
                    job = next(source, Job)
                    if job is None:
                        break
                    if isinstance(job, Job):
                        fleet.send(job)
                    else:
                        more = False
                yield from fleet.news()
                for job in [run.job for run in fleet.running.values() if unwanted(run.job)]:
                    fleet.stop(job)
                    yield job, STOPPED
        finally:
            fleet.stop()


@dataclass
class Running:
    """A run somewhere in the cluster."""

    job: Job
    stalls: int = 0
    """Times it died since it last came any further."""


class Fleet:
    """The tasks of a study, and what is shared between them."""

    def __init__(
        self,
        library: Any,
        plugin: Path | None,
        slots: int,
        jobs: Iterable[Job | None],
        *,
        ours: bool,
    ) -> None:
        self.ray, self.ours, self.wanted = library, ours, slots
        self.plugin = plugin.read_bytes() if plugin else None
        self.parcels: dict[str, Parcel] = {}
        self.running: dict[Any, Running] = {}
        resources = library.cluster_resources()
        self.gpus = int(resources.get("GPU", 0))
        nodes = [node["Resources"] for node in library.nodes() if node["Alive"]]
        self.widest = int(max(node.get("CPU", 0) for node in nodes)) or 1
        _, threads = share(max(int(resources.get("CPU", 0)), 1), slots, jobs)
        self.threads = min(threads, self.widest)

    def slots(self) -> int:
        """Runs at a time; machines may have come or gone."""
        cpus = int(self.ray.cluster_resources().get("CPU", 0))
        return self.wanted or max(cpus // self.threads, 1)

    def send(self, job: Job) -> None:
        prepare(job, self.threads)
        self._submit(Running(job))

    def news(self) -> Iterator[tuple[Job, str | None]]:
        """Take in what has come by now, and yield jobs that ended."""
        if not self.running:
            return
        ready, _ = self.ray.wait(list(self.running), num_returns=1, timeout=POLL)
        for stream in ready:
            try:
                report: Report = self.ray.get(next(stream))
            except StopIteration:
                yield from self._died(stream, "ended without a word")
            except self.ray.exceptions.RayError as error:
                yield from self._died(stream, one_line(error))
            else:
                yield from self._heard(stream, report)

    def stop(self, *jobs: Job) -> None:
        """Stop tasks, all of them where none is named, and wait until they have cleared up."""
        streams = [own for own, run in self.running.items() if not jobs or run.job in jobs]
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

    def _submit(self, run: Running) -> None:
        job, training = run.job, run.job.config.training
        key, parcel = self._images(job)
        kept = (*FETCHED, previous(job.folder / CHECKPOINT).name)
        order = Order(
            name=job.folder.name,
            files={n: (job.folder / n).read_bytes() for n in kept if (job.folder / n).exists()},
            versions=versions(),
            key=key,
            parcel=parcel,
            plugin=self.plugin,
        )
        remote = self.ray.remote(
            num_returns="streaming",
            max_retries=0,  # a retry goes on from what came home: only we have that
            num_cpus=min(training.threads or self.threads, self.widest),
            num_gpus=0 if training.device == "cpu" else gpu_share(self.gpus, self.wanted),
            name=job.folder.name,
        )(task)
        self.running[remote.remote(order)] = run

    def _images(self, job: Job) -> tuple[str | None, Parcel | None]:
        """What a node needs to have the images: nothing, a key of the cache it shares with this
        machine, or the images themselves, which it takes once."""
        key = job.images.key
        if job.config.data.data == "digits":
            return None, None
        if self.ours and holds(key):
            return key, None
        if key not in self.parcels:
            self.parcels[key] = pack(job.images, self.ray.put)
        return key, self.parcels[key]

    def _heard(self, stream: Any, report: Report) -> Iterator[tuple[Job, str | None]]:
        run = self.running[stream]
        folder = run.job.folder
        take_in(folder, report.files)
        if report.code is None:
            run.stalls = 0
        elif report.code < 0:  # killed, as by a machine short of memory
            yield from self._died(stream, report.said)
        else:
            del self.running[stream]
            if report.code == 0:
                remove_state(folder / CHECKPOINT)
            yield run.job, f"{report.said} (see {folder / 'log.txt'})" if report.code else None

    def _died(self, stream: Any, said: str) -> Iterator[tuple[Job, str]]:
        run = self.running.pop(stream)
        run.stalls += 1
        if run.stalls > RETRIES:
            yield run.job, f"died {run.stalls} times without coming any further: {said}"
        else:
            LOG.warning("%s: %s; going on from its last checkpoint", run.job.folder.name, said)
            self._submit(run)


def gpu_share(gpus: int, slots: int) -> float:
    """Of a run: a whole one, or as many runs on each as it takes to have ``slots`` of them.

    >>> gpu_share(0, 4), gpu_share(4, 0), gpu_share(4, 3), gpu_share(4, 6)
    (0, 1, 1, 0.5)
    """
    return 0 if not gpus else 1 if slots <= gpus else 1 / math.ceil(slots / gpus)


def take_in(folder: Path, files: Files) -> None:
    """Write what has come home, in its order: each file whole, a checkpoint after the one before.

    Raises:
        UserError: if it cannot be written.
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


def pack(images: ImageData, put: Callable[[np.ndarray], Any], size: int = PIECE) -> Parcel:
    """Give images to the cluster in pieces.

    Args:
        put: takes a piece, returns a reference to it.
        size: of a piece, in bytes.
    """
    arrays = {}
    for name in ("train_images", "train_labels", "test_images", "test_labels"):
        tensor = getattr(images, name)
        array = (tensor.permute(0, 2, 3, 1) if tensor.dim() == 4 else tensor).numpy()
        rows = max(size // max(array[:1].nbytes, 1), 1)
        pieces = [put(array[at : at + rows]) for at in range(0, len(array), rows)]
        arrays[name] = (array.dtype.str, array.shape, pieces)
    return Parcel(images.key, {"classes": list(images.classes)}, arrays)
