"""Which pictures of a folder are new, and which are still being written."""

import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from lord.config import UserError
from lord.data.sources.folder import ENDINGS
from lord.storage import readable, write_json

FILE = "watch.json"
"""File in a learner's folder: what a watch has learned and what was refused, folder by folder."""
SETTLE = 2.0
"""Seconds for which a file must keep its size and time, at least."""
SHARE = 20
"""A scan takes one part in so many of the time, at most."""


class Offered(msgspec.Struct):
    """The pictures of a folder that were offered to a learner, as hashes of path, size and time.

    Attributes:
        learned: those of sessions that ended, and those with nothing to learn.
        refused: those of refused sessions, and those in several classes. They are offered again
            with new ones, or once one of them is gone.
    """

    learned: set[str] = set()
    refused: set[str] = set()


class Arrivals:
    """The pictures that arrive in a folder.

    Args:
        folder: the folder of the pictures.
        state: the learner's folder, where it is kept what was offered.

    Attributes:
        settled: pictures that kept their size and time since the scan before, by their hash.
        moving: number of new pictures that did not.
        pause: seconds to wait before the next scan.
    """

    def __init__(self, folder: Path, state: Path) -> None:
        self.folder, self.state = folder, state
        self._name = readable(str(folder.resolve()))
        self.settled: dict[str, Path] = {}
        self.moving, self.pause = 0, SETTLE
        self.offered = _read(state).get(self._name, Offered())
        self._before: set[str] = set()

    @property
    def new(self) -> list[Path]:
        """Settled pictures that were not offered yet."""
        known = self.offered.learned | self.offered.refused
        return [file for mark, file in self.settled.items() if mark not in known]

    @property
    def to_learn(self) -> list[Path]:
        """Settled pictures that were not learned yet: the new ones, and those refused before."""
        return [f for mark, f in self.settled.items() if mark not in self.offered.learned]

    def scan(self) -> None:
        """Look at the folder. At least ``SETTLE`` seconds lie between two scans.

        Raises:
            UserError: if the folder cannot be read.
        """
        start = time.monotonic()
        found = dict(_pictures(self.folder))
        self.settled = {mark: file for mark, file in found.items() if mark in self._before}
        if not self.offered.refused <= found.keys():  # without one, the others may be learned
            self.offered.refused = set()
        known = self.offered.learned | self.offered.refused
        self.moving = len(found.keys() - self._before - known)
        self._before = set(found)
        self.pause = max(SETTLE, SHARE * (time.monotonic() - start))

    def note(self, files: list[Path], *, refused: bool = False) -> None:
        """Note that files were learned or refused. Those that are gone may come back."""
        names = {file for file in files if file.exists()}
        marks = {mark for mark, file in self.settled.items() if file in names}
        there = self._before
        learned, others = self.offered.learned & there, self.offered.refused & there
        if refused:
            self.offered = Offered(learned - marks, others | marks)
        else:
            self.offered = Offered(learned | marks, others - marks)
        if self.state.is_dir():
            everything = _read(self.state) | {self._name: self.offered}
            write_json(self.state / FILE, everything)


def _read(state: Path) -> dict[str, Offered]:
    """Return what was offered, by folder. A file that cannot be read is ignored.

    Its pictures are offered again, and a learner skips images that it knows.
    """
    try:
        return msgspec.json.decode((state / FILE).read_bytes(), type=dict[str, Offered])
    except (OSError, msgspec.DecodeError):
        return {}


def _pictures(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the hash of path, size and time of each picture below a folder, and the picture.

    Raises:
        UserError: if the folder itself cannot be read.
    """
    try:
        os.scandir(folder).close()
    except OSError as error:
        raise UserError(f"cannot read '{folder}': {error.strerror}") from None
    above = {folder.resolve()}
    for place, names, files in os.walk(folder, followlinks=True):
        shown = [name for name in names if not name.startswith(".")]
        names[:] = [name for name in shown if (Path(place) / name).resolve() not in above]
        above |= {(Path(place) / name).resolve() for name in names}
        for name in files:
            file = Path(place) / name
            if name.startswith(".") or file.suffix.lower() not in ENDINGS:
                continue
            try:
                found = file.stat()
            except OSError:  # it is gone, or a broken link
                continue
            text = f"{file.relative_to(folder)}\0{found.st_size}\0{found.st_mtime_ns}"
            yield hashlib.blake2b(os.fsencode(text), digest_size=8).hexdigest(), file
