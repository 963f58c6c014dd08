"""Images kept apart, never learnt, to tell what is forgotten."""

import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

SIZE = 20
"""Of each class, at most."""


@dataclass
class Exam:
    """Exam images of all sessions.

    Attributes:
        columns: images, labels, and the session each came in; empty before the first.
        spent: checksums of images that might have been chosen and were learnt.
    """

    columns: dict[str, Tensor] = field(default_factory=dict)
    spent: list[int] = field(default_factory=list)

    def keep(self, images: Tensor, labels: Tensor, session: int) -> None:
        """Take some images of a session out of what is learnt.

        About a tenth of each class of ten or more, until there are SIZE of it; chosen by their
        content, so that an image that comes again is on the same side again.
        """
        contents = [_bytes_of(image) for image in images]
        times, many = Counter(contents), Counter(labels.tolist())
        held, known, spent = self._held(), self._bytes(), set(self.spent)
        right = self.columns["labels"].clone() if self.columns else labels
        chosen = []
        for row, (label, content) in enumerate(zip(labels.tolist(), contents, strict=True)):
            checksum = zlib.crc32(content)
            if content in known:  # under another label now, perhaps
                right[known[content]] = label
            if checksum % 10 or content in known or checksum in spent:
                continue
            if many[label] >= 10 and times[content] == 1 and held[label] < SIZE:
                held[label] += 1
                chosen.append(row)
            else:
                spent.add(checksum)
        self.spent = sorted(spent)
        rows = torch.tensor(chosen, dtype=torch.long)
        new = {
            "images": images[rows].contiguous(),
            "labels": labels[rows],
            "sessions": torch.full_like(rows, session),
        }
        old = self.columns and self.columns | {"labels": right}
        self.columns = {n: torch.cat([old[n], v]) if old else v for n, v in new.items()}

    def others(self, images: Tensor) -> Tensor:
        """Rows that are to be learnt: all images but those kept, in whichever session."""
        apart = self._bytes()
        rows = [row for row, image in enumerate(images) if _bytes_of(image) not in apart]
        return torch.tensor(rows, dtype=torch.long)

    def of(self, session: int) -> tuple[Tensor, Tensor]:
        """Images and labels that came in a session."""
        rows = (self.columns["sessions"] == session).nonzero().flatten()
        return self.columns["images"][rows], self.columns["labels"][rows]

    def _held(self) -> Counter[int]:
        return Counter(self.columns["labels"].tolist() if self.columns else [])

    def _bytes(self) -> dict[bytes, int]:
        """Row of each image."""
        images = self.columns["images"] if self.columns else ()
        return {_bytes_of(image): row for row, image in enumerate(images)}


def _bytes_of(image: Tensor) -> bytes:
    return image.contiguous().numpy().tobytes()


def mean_fall(exams: Sequence[Sequence[float]]) -> float | None:
    """Mean fall of the accuracy on each earlier session's images from its best, in points.

    exams: after each session, the accuracy on each so far; nan where it has no images.

    >>> mean_fall([[90.0], [70.0, 80.0], [60.0, 85.0, 99.0]])
    15.0
    """
    falls = []
    for number in range(len(exams) - 1):
        seen = [after[number] for after in exams[number:]]
        falls += [max(seen) - seen[-1]] if seen[-1] == seen[-1] else []
    return sum(falls) / len(falls) if falls else None
