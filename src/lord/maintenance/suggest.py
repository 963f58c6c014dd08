"""Choose the images whose labels would teach a learner most."""

from pathlib import Path
from typing import Literal

import msgspec
import torch
import torch.nn.functional as F
from torch import Tensor

from lord.config import UserError
from lord.evaluation.kept import Unreadable
from lord.learner import Learner, Prediction
from lord.learner.forgotten import forgotten_digests
from lord.learner.seen import digest_of
from lord.maintenance.pictures import drawn, files_of, unlabelled

MOST = 20_000
"""Images to choose from, at most. They are drawn from those given."""
UNKNOWN = 0.95
"""From this figure on, an image counts as unlike all classes. At most 5 % of images of known
classes reach it."""
UNSURE = 0.5
"""Below this difference of the two largest probabilities, an image counts as uncertain."""
LEAST = 0.05
"""What an image is worth of which the learner is certain."""


class Suggestion(msgspec.Struct, frozen=True, kw_only=True):
    """An image to label, and why."""

    file: str
    reason: Literal["unknown", "uncertain", "different"]
    """Unlike all classes; between two classes; or unlike the images known and suggested."""
    text: str
    """The reason in words."""
    predicted: str
    confidence: float
    margin: float
    """Difference of the two largest probabilities."""
    unknown: float
    """See ``Prediction.unknown``."""


class Suggestions(msgspec.Struct, frozen=True, kw_only=True):
    """Images to label, the most useful first."""

    images: int
    """Number of images to choose from."""
    learned: int
    """Images left out because the learner was given them before."""
    chosen: list[Suggestion]
    unreadable: list[Unreadable]


def suggest_images(learner: Learner, folder: Path, count: int) -> Suggestions:
    """Return the images of a folder whose labels would teach a learner most.

    Each choice has the largest product of two figures. One says how uncertain and unknown the image
    is. The other is its distance to the held-out images and to those chosen before, so that the
    choices differ. Images that the learner was given before or has forgotten on request are left
    out, and so are copies.

    Args:
        learner: after a session.
        folder: images at any depth. They need no labels.
        count: number of images to choose.

    Raises:
        UserError: if the folder has no images that are new to the learner.
    """
    files, unreadable = drawn(files_of(folder), MOST), list[Unreadable]()
    names: list[str] = []
    features: list[Tensor] = []
    found: list[Prediction] = []
    digests = forgotten_digests(learner.forgotten)
    learned = 0
    for part in unlabelled(learner, files, unreadable):
        seen = learner.seen.rows(part.images) >= 0
        learned += int(seen.sum())
        rows = []
        for row in (~seen).nonzero().flatten().tolist():
            if (digest := digest_of(part.images[row])) not in digests:
                digests.add(digest)
                rows.append(row)
        if rows:
            names += [part.files[row] for row in rows]
            found += learner.predictions(part.images[rows], unknown=True, top=2)
            features.append(learner.features(part.images[rows]))
    if not names:
        what = "has no image that is new to the learner" if learned else "has no image to read"
        raise UserError(what, field="folder", given=folder)
    held = learner.held_out.columns.get("images")
    known = learner.features(held) if held is not None and len(held) else None
    chosen = choose(torch.cat(features), torch.tensor([*map(doubt, found)]), count, known)
    return Suggestions(
        images=len(names),
        learned=learned,
        chosen=[_suggestion(names[row], found[row]) for row in chosen],
        unreadable=unreadable,
    )


def margin(found: Prediction) -> float:
    """Return the difference of the two largest probabilities."""
    return found.top[0][1] - found.top[1][1]


def doubt(found: Prediction) -> float:
    """Return how uncertain and how unknown an image is, ``LEAST`` or more."""
    return LEAST + 1 - margin(found) + max(2 * (found.unknown or 0) - 1, 0)


def choose(features: Tensor, doubts: Tensor, count: int, known: Tensor | None = None) -> list[int]:
    """Choose images that are doubtful and differ from each other.

    >>> features = torch.tensor([[1.0, 0.0], [0.9, 0.0], [0.0, 1.0], [-1.0, -1.0]])
    >>> choose(features, torch.tensor([0.9, 0.8, 0.5, 0.1]), 2)
    [0, 2]

    Args:
        features: N x D.
        doubts: how much each image is worth, N.
        count: number of images, at most N.
        known: features of images that need not be chosen again, M x D.

    Returns:
        Rows of the chosen images, the first choice first.
    """
    centre = features.mean(0)
    x = F.normalize(features - centre, dim=1)
    apart = torch.ones(len(x))
    if known is not None:
        apart = 1 - (x @ F.normalize(known - centre, dim=1).T).max(1).values
    rows: list[int] = []
    for _ in range(min(count, len(x))):
        worth = doubts * apart.clamp(min=1e-6)
        worth[rows] = -1
        rows.append(int(worth.argmax()))
        apart = torch.minimum(apart, 1 - x @ x[rows[-1]])
    return rows


def _suggestion(file: str, found: Prediction) -> Suggestion:
    (one, first), (other, second) = found.top[:2]
    unknown, gap = found.unknown or 0.0, margin(found)
    reason: Literal["unknown", "uncertain", "different"] = "different"
    text = f"predicted as {one}, but unlike the images known and suggested"
    if unknown >= UNKNOWN:
        reason, text = "unknown", f"unlike every class; most like {one}"
    elif gap < UNSURE:
        reason, text = "uncertain", f"{one} {100 * first:.0f} % or {other} {100 * second:.0f} %"
    return Suggestion(
        file=file,
        reason=reason,
        text=text,
        predicted=one,
        confidence=first,
        margin=gap,
        unknown=unknown,
    )
