"""Images kept apart, never learnt, to tell what is forgotten."""

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
    """

    columns: dict[str, Tensor] = field(default_factory=dict)

    def keep(self, images: Tensor, labels: Tensor, session: int) -> None:
        """Take some images of a session out of what is learnt."""
        rows = torch.tensor(examined_rows(labels.tolist(), self._held()), dtype=torch.long)
        new = {
            "images": images[rows].contiguous(),
            "labels": labels[rows],
            "sessions": torch.full_like(rows, session),
        }
        old = self.columns
        self.columns = {n: torch.cat([old[n], v]) if old else v for n, v in new.items()}

    def others(self, labels: Tensor, session: int) -> Tensor:
        """Rows of the session kept last that are to be learnt: all but those kept."""
        held = self._held()
        for label in self.of(session)[1].tolist():
            held[label] -= 1
        apart = set(examined_rows(labels.tolist(), held))
        return torch.tensor([row for row in range(len(labels)) if row not in apart])

    def of(self, session: int) -> tuple[Tensor, Tensor]:
        """Images and labels that came in a session."""
        rows = (self.columns["sessions"] == session).nonzero().flatten()
        return self.columns["images"][rows], self.columns["labels"][rows]

    def _held(self) -> dict[int, int]:
        labels = self.columns["labels"].tolist() if self.columns else []
        return {label: labels.count(label) for label in set(labels)}


def examined_rows(labels: Sequence[int], held: dict[int, int]) -> list[int]:
    """Rows kept of a session: every tenth of its class, until there are SIZE of it."""
    met: dict[int, int] = {}
    rows = []
    for row, label in enumerate(labels):
        met[label] = met.get(label, 0) + 1
        if met[label] % 10 == 0 and held.get(label, 0) + met[label] // 10 <= SIZE:
            rows.append(row)
    return rows


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
