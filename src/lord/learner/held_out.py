"""Images that a learner sets aside and never learns, to measure what it forgets."""

import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

MOST = 20
"""Held-out images of a class, at most."""


@dataclass
class HeldOut:
    """The held-out images of all sessions.

    Attributes:
        columns: images, labels, and the session each image came in; empty before the first one.
        learned: checksums of images that the rule selects, but that were learned all the same.
    """

    columns: dict[str, Tensor] = field(default_factory=dict)
    learned: list[int] = field(default_factory=list)

    def set_aside(self, images: Tensor, labels: Tensor, session: int) -> None:
        """Set some images of a session aside, so that they are not learned.

        They are about a tenth of each class that has at least ten images, and ``MOST`` of a class
        in all. Their content selects them, so that an image that comes again is treated alike.
        If a held-out image comes again under another label, its label is corrected.
        """
        contents = [_bytes_of(image) for image in images]
        times, sizes = Counter(contents), Counter(labels.tolist())
        held = Counter(self.columns["labels"].tolist() if self.columns else [])
        known, learned = self._rows(), set(self.learned)
        corrected = self.columns["labels"].clone() if self.columns else labels
        chosen = []
        for row, (label, content) in enumerate(zip(labels.tolist(), contents, strict=True)):
            checksum = zlib.crc32(content)
            if content in known:
                corrected[known[content]] = label
            if checksum % 10 or content in known or checksum in learned:
                continue
            if sizes[label] >= 10 and times[content] == 1 and held[label] < MOST:
                held[label] += 1
                chosen.append(row)
            else:
                learned.add(checksum)
        self.learned = sorted(learned)
        rows = torch.tensor(chosen, dtype=torch.long)
        new = {
            "images": images[rows].contiguous(),
            "labels": labels[rows],
            "sessions": torch.full_like(rows, session),
        }
        old = self.columns and self.columns | {"labels": corrected}
        self.columns = {n: torch.cat([old[n], v]) if old else v for n, v in new.items()}

    def rows_to_learn(self, images: Tensor) -> Tensor:
        """Return the rows of all images that are not held out, in whichever session they came."""
        held = self._rows()
        rows = [row for row, image in enumerate(images) if _bytes_of(image) not in held]
        return torch.tensor(rows, dtype=torch.long)

    @property
    def labels(self) -> Tensor:
        """Class number of each held-out image, N int64."""
        return self.columns["labels"] if self.columns else torch.empty(0, dtype=torch.long)

    def keep(self, rows: Tensor) -> None:
        """Keep the held-out images of a mask, and drop the others."""
        self.columns = {name: column[rows].clone() for name, column in self.columns.items()}

    def forget(self, images: Tensor) -> None:
        """Drop images, and their checksums."""
        contents = {_bytes_of(image) for image in images}
        held = self.columns["images"] if self.columns else ()
        self.keep(torch.tensor([_bytes_of(each) not in contents for each in held]).bool())
        self.learned = sorted(set(self.learned) - {zlib.crc32(each) for each in contents})

    def of(self, session: int) -> tuple[Tensor, Tensor]:
        """Return the held-out images of one session, and their labels."""
        rows = (self.columns["sessions"] == session).nonzero().flatten()
        return self.columns["images"][rows], self.columns["labels"][rows]

    def _rows(self) -> dict[bytes, int]:
        """Return the row of each held-out image, by its content."""
        images = self.columns["images"] if self.columns else ()
        return {_bytes_of(image): row for row, image in enumerate(images)}


def _bytes_of(image: Tensor) -> bytes:
    return image.contiguous().numpy().tobytes()


def mean_forgetting(accuracies: Sequence[Sequence[float]]) -> float | None:
    """Return the mean drop of each earlier session's accuracy from its best, in points.

    Args:
        accuracies: after each session, the accuracy on each session so far; nan for a session
            without held-out images.

    Returns:
        None where nothing can be compared.

    >>> mean_forgetting([[90.0], [70.0, 80.0], [60.0, 85.0, 99.0]])
    15.0
    """
    drops = []
    for number in range(len(accuracies) - 1):
        seen = [after[number] for after in accuracies[number:]]
        drops += [max(seen) - seen[-1]] if seen[-1] == seen[-1] else []
    return sum(drops) / len(drops) if drops else None
