"""A record of every image that a learner was given, without the images themselves."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor

SIZE = 16
"""Bytes of a digest."""


@dataclass
class Seen:
    """Digests of the images of all sessions. Held-out images are included.

    Each image has one row, in the order of the sessions. An image that comes again moves to the
    end. Its times before are in ``earlier``, so that a closed-form head can subtract them all.

    >>> seen, images = Seen(), torch.arange(2, dtype=torch.uint8).view(2, 1, 1, 1)
    >>> seen.add(images, torch.tensor([0, 1]), session=3)
    >>> seen.rows(images.flip(0)).tolist(), seen.labels.tolist(), len(seen)
    ([1, 0], [0, 1], 2)
    >>> seen.keep(seen.labels != 0)
    >>> seen.rows(images).tolist()
    [-1, 0]

    Attributes:
        digests: N x 16 uint8, see ``digest_of``.
        labels: N int32, number of each image's class.
        sessions: N int32, number of the latest session each image came in, from 0.
        earlier: digests of images that came again, M x 16 uint8: a row for each time but the last.
        earlier_labels: M int32, numbers of their classes at that time.
        names: names that classes had before they were renamed or merged, and the class's number.
    """

    digests: Tensor = field(default_factory=lambda: torch.empty(0, SIZE, dtype=torch.uint8))
    labels: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int32))
    sessions: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int32))
    earlier: Tensor = field(default_factory=lambda: torch.empty(0, SIZE, dtype=torch.uint8))
    earlier_labels: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int32))
    names: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.labels)

    def add(self, images: Tensor, labels: Tensor, session: int) -> None:
        """Add a session's images. Of equal images, the last one's label counts.

        Args:
            images: N x C x H x W uint8, as the learner gets them; at least one.
            labels: N integers.
            session: number of the session, from 0.
        """
        known, given = self._index(), dict[bytes, int]()
        before: list[tuple[bytes, int]] = []
        for digest, label in zip(map(digest_of, images), labels.tolist(), strict=True):
            if digest in given:
                before.append((digest, given[digest]))
            elif digest in known:
                before.append((digest, int(self.labels[known[digest]])))
            given[digest] = label
        rest = torch.ones(len(self), dtype=torch.bool)
        rest[[known[digest] for digest in given if digest in known]] = False
        self.keep(rest)
        numbers = torch.tensor(list(given.values()), dtype=torch.int32)
        self.digests = torch.cat([self.digests, _rows(given)])
        self.labels = torch.cat([self.labels, numbers])
        self.sessions = torch.cat([self.sessions, torch.full_like(numbers, session)])
        earlier = torch.tensor([label for _, label in before], dtype=torch.int32)
        self.earlier = torch.cat([self.earlier, _rows([digest for digest, _ in before])])
        self.earlier_labels = torch.cat([self.earlier_labels, earlier])

    def rows(self, images: Tensor) -> Tensor:
        """Return the row of each image, -1 for an image that was not seen.

        Args:
            images: N x C x H x W uint8, as the learner gets them.
        """
        return torch.tensor(self.find(map(digest_of, images)), dtype=torch.long)

    def find(self, digests: Iterable[bytes]) -> list[int]:
        """Return the row of each digest, -1 for one that is not there."""
        known = self._index()
        return [known.get(digest, -1) for digest in digests]

    def keep(self, rows: Tensor) -> None:
        """Keep these rows and drop the others.

        Args:
            rows: numbers of rows, or a mask.
        """
        self.digests, self.labels = self.digests[rows], self.labels[rows]
        self.sessions = self.sessions[rows]

    def times(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return images as often as they came, and the class number of each time.

        Args:
            images: N distinct images, C x H x W uint8 each. Those not seen are left out.
        """
        order = {digest_of(image): row for row, image in enumerate(images)}
        digests = _contents(self.digests) + _contents(self.earlier)
        labels = self.labels.tolist() + self.earlier_labels.tolist()
        found = [(order[d], label) for d, label in zip(digests, labels, strict=True) if d in order]
        rows, numbers = torch.tensor(found, dtype=torch.long).view(-1, 2).T
        return images[rows], numbers

    def forget(self, images: Tensor) -> None:
        """Drop the rows of images."""
        gone = {digest_of(image) for image in images}
        self.keep(torch.tensor([d not in gone for d in _contents(self.digests)]).bool())
        rest = torch.tensor([d not in gone for d in _contents(self.earlier)]).bool()
        self.earlier, self.earlier_labels = self.earlier[rest], self.earlier_labels[rest]

    def renumber(self, numbers: Tensor, removed: int | None = None) -> None:
        """Give classes other numbers.

        Args:
            numbers: classes int64, the new number of each.
            removed: number of a class of which all rows are dropped first.
        """
        if removed is not None:
            self.keep(self.labels != removed)
            rest = self.earlier_labels != removed
            self.earlier, self.earlier_labels = self.earlier[rest], self.earlier_labels[rest]
            self.names = {name: label for name, label in self.names.items() if label != removed}
        self.names = {name: int(numbers[label]) for name, label in self.names.items()}
        self.labels = numbers[self.labels.long()].int()
        self.earlier_labels = numbers[self.earlier_labels.long()].int()

    def _index(self) -> dict[bytes, int]:
        """Return the row of each digest."""
        return {digest: row for row, digest in enumerate(_contents(self.digests))}


def _contents(digests: Tensor) -> list[bytes]:
    content = digests.contiguous().numpy().tobytes()
    return [content[start : start + SIZE] for start in range(0, len(content), SIZE)]


def _rows(digests: Iterable[bytes]) -> Tensor:
    content = bytearray(b"".join(digests))
    rows = torch.frombuffer(content, dtype=torch.uint8) if content else torch.empty(0).byte()
    return rows.view(-1, SIZE)


def digest_of(image: Tensor) -> bytes:
    """Return the digest of an image, C x H x W uint8: 16 bytes of BLAKE2b."""
    content = image.cpu().contiguous().numpy().data
    return hashlib.blake2b(content, digest_size=SIZE).digest()
