"""A record of every image that a learner was given, without the images themselves."""

import hashlib
from dataclasses import dataclass, field

import torch
from torch import Tensor

SIZE = 16
"""Bytes of a digest."""


@dataclass
class Seen:
    """Digests of the images of all sessions. Held-out images are included.

    Each image has one row, in the order of the sessions. An image that comes again moves to the
    end.

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
    """

    digests: Tensor = field(default_factory=lambda: torch.empty(0, SIZE, dtype=torch.uint8))
    labels: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int32))
    sessions: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int32))

    def __len__(self) -> int:
        return len(self.labels)

    def add(self, images: Tensor, labels: Tensor, session: int) -> None:
        """Add a session's images. Of equal images, the last one's label counts.

        Args:
            images: N x C x H x W uint8, as the learner gets them; at least one.
            labels: N integers.
            session: number of the session, from 0.
        """
        given = dict(zip(map(digest_of, images), labels.tolist(), strict=True))
        known = self._index()
        rest = torch.ones(len(self), dtype=torch.bool)
        rest[[known[digest] for digest in given if digest in known]] = False
        self.keep(rest)
        added = torch.frombuffer(bytearray(b"".join(given)), dtype=torch.uint8)
        numbers = torch.tensor(list(given.values()), dtype=torch.int32)
        self.digests = torch.cat([self.digests, added.view(-1, SIZE)])
        self.labels = torch.cat([self.labels, numbers])
        self.sessions = torch.cat([self.sessions, torch.full_like(numbers, session)])

    def rows(self, images: Tensor) -> Tensor:
        """Return the row of each image, -1 for an image that was not seen.

        Args:
            images: N x C x H x W uint8, as the learner gets them.
        """
        known = self._index()
        rows = [known.get(digest_of(image), -1) for image in images]
        return torch.tensor(rows, dtype=torch.long)

    def keep(self, rows: Tensor) -> None:
        """Keep these rows and drop the others.

        Args:
            rows: numbers of rows, or a mask.
        """
        self.digests, self.labels = self.digests[rows], self.labels[rows]
        self.sessions = self.sessions[rows]

    def _index(self) -> dict[bytes, int]:
        """Return the row of each digest."""
        content = self.digests.contiguous().numpy().tobytes()
        return {content[SIZE * row : SIZE * (row + 1)]: row for row in range(len(self))}


def digest_of(image: Tensor) -> bytes:
    """Return the digest of an image, C x H x W uint8: 16 bytes of BLAKE2b."""
    content = image.cpu().contiguous().numpy().data
    return hashlib.blake2b(content, digest_size=SIZE).digest()
