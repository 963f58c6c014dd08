"""Tell whether new images differ from those that a learner knows."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from lord.config import UserError
from lord.evaluation.kept import Drift, Moved, Share, Unreadable
from lord.learner import Learner
from lord.maintenance.pictures import drawn, files_of, picture, unlabelled

MOST = 2000
"""Images that are compared, at most. They are drawn from those given."""
FEW = 2
"""Images of a class, held out and new, that can be compared, at least."""
SPLITS = 999
"""Random splits that the p-value is counted over."""
SHOWN = 10
"""Images and classes that are named, at most."""


class Sample(NamedTuple):
    """Images as a learner sees them.

    Attributes:
        files: name of each image.
        features: N x D.
        labels: N, number of the class that each is predicted as.
        images: N x C x H x W uint8; None if they are not to be shown.
    """

    files: list[str]
    features: Tensor
    labels: Tensor
    images: Tensor | None = None


def measure_drift(learner: Learner, folder: Path, *, pictures: bool = False) -> Drift:
    """Compare a folder's images with the learner's held-out images.

    Images that the learner was given before are left out, because it knows them better than new
    ones.

    Args:
        learner: after a session, with held-out images.
        folder: images at any depth.
        pictures: also return the images that differ most as pictures.

    Raises:
        UserError: if there is nothing to compare.
    """
    unreadable, learned = list[Unreadable](), 0
    names, parts = [], []
    for part in unlabelled(learner, drawn(files_of(folder), MOST), unreadable):
        unseen = learner.seen.rows(part.images) < 0
        learned += int((~unseen).sum())
        names += [name for name, new in zip(part.files, unseen.tolist(), strict=True) if new]
        parts.append(part.images[unseen])
    if not names:
        what = "has no image that is new to the learner" if learned else "has no image to read"
        raise UserError(what, field="folder", given=folder)
    held = _held_out(learner)
    new = _sample(learner, names, torch.cat(parts), pictures)
    return compared(
        held, new, learner.classes, source=str(folder), learned=learned, unreadable=unreadable
    )


def drift_of_last_session(learner: Learner, *, pictures: bool = False) -> Drift | None:
    """Compare the last session's held-out images with those of earlier sessions.

    It returns None if there is nothing to compare.

    Args:
        learner: the learner.
        pictures: also return the images that differ most as pictures.
    """
    columns = learner.held_out.columns
    if len(learner.sessions) < 2 or not columns:
        return None
    sample = _held_out(learner, pictures)
    last = columns["sessions"] == len(learner.sessions) - 1
    before, now = (_rows(sample, rows) for rows in (~last, last))
    if not len(before.labels) or not len(now.labels) or not len(_common(before, now)):
        return None
    return compared(before, now, learner.classes, source="the last session")


def compared(
    held: Sample,
    new: Sample,
    classes: Sequence[str],
    *,
    source: str,
    learned: int = 0,
    unreadable: Sequence[Unreadable] = (),
) -> Drift:
    """Test by permutation whether two samples come from one distribution, class by class.

    The statistic is the energy distance of features (Szekely and Rizzo 2013), summed over predicted
    classes. Images are exchanged within predicted classes only, so that another mix of classes is
    not taken for drift.

    Args:
        held: held-out images.
        new: new images.
        classes: names of the classes.
        source: the new images in words.
        learned, unreadable: as in ``Drift``.

    Raises:
        UserError: if no class has enough images in both samples.
    """
    common = _common(held, new)
    if not len(common):
        raise UserError(
            f"cannot be compared: of each class, {FEW} images must be held out, and {FEW} new ones "
            "be predicted as it",
            field="folder",
            given=source,
            hint="learn more images of each class, or give more new ones",
        )
    # Of both samples: a feature that is rare in one would otherwise set its images apart.
    scale = torch.cat([held.features, new.features]).std(0).clamp(min=1e-6)
    generator = torch.Generator().manual_seed(0)
    total, splits, spread = 0.0, torch.zeros(SPLITS).double(), 0.0
    distances = torch.full((len(new.labels),), float("-inf"))
    for label in common.tolist():
        rows = (new.labels == label).nonzero().flatten()
        one, other = held.features[held.labels == label] / scale, new.features[rows] / scale
        found = _energies(one, other, generator)
        total, splits, spread = total + found.real, splits + found.split, spread + found.spread
        distances[rows] = found.distances
    p = (1 + int((splits >= total * (1 - 1e-12)).sum())) / (1 + SPLITS)
    shift = max(total - float(splits.mean()), 0.0) / max(spread, 1e-12)
    inside = torch.isin(new.labels, common)
    first = distances.argsort(descending=True)[: min(SHOWN, int(inside.sum()))].tolist()
    moved = [
        Moved(
            file=new.files[row],
            predicted=classes[int(new.labels[row])],
            distance=float(distances[row]),
            picture=picture(new.images[row]) if new.images is not None else None,
        )
        for row in first
    ]
    return Drift(
        source=source,
        shift=shift,
        p=p,
        images=int(inside.sum()),
        held_out=int(torch.isin(held.labels, common).sum()),
        learned=learned,
        alone=int((~inside).sum()),
        moved=moved,
        mix=_mix(held.labels, new.labels, classes),
        unreadable=list(unreadable),
    )


class _Energies(NamedTuple):
    """Energy distances within a class.

    Attributes:
        real: that of the two samples, times n m / (n + m).
        split: those of random splits, likewise.
        spread: twice the mean distance between the samples, likewise.
        distances: for each new image, see ``Moved.distance``.
    """

    real: float
    split: Tensor
    spread: float
    distances: Tensor


def _energies(one: Tensor, other: Tensor, generator: torch.Generator) -> _Energies:
    """Return the energy distances of two samples, n x D and m x D, and of random splits."""
    n, m = len(one), len(other)
    joined = torch.cat([one, other])
    apart = torch.cdist(joined, joined).double()
    order = torch.rand(SPLITS, n + m, generator=generator).argsort(1)
    weights = torch.where(order < n, 1 / n, -1 / m).double()
    weights = torch.cat([torch.where(torch.arange(n + m) < n, 1 / n, -1 / m)[None], weights])
    found = -((weights @ apart) * weights).sum(1) * (n * m / (n + m))
    between = apart[:n, n:]
    within = apart[n:, n:].sum(1) / max(m - 1, 1)
    mean = float(between.mean())
    away = (between.mean(0) - within) / max(mean, 1e-12)
    return _Energies(float(found[0]), found[1:], 2 * mean * n * m / (n + m), away.float())


def _held_out(learner: Learner, pictures: bool = False) -> Sample:
    columns = learner.held_out.columns
    if not columns or not len(columns["labels"]):
        raise UserError(
            "the learner has no held-out images to compare with",
            hint="learn at least ten images of a class in one session",
        )
    names = [f"held out in session {n + 1}" for n in columns["sessions"].tolist()]
    return _sample(learner, names, columns["images"], pictures)


def _sample(learner: Learner, names: list[str], images: Tensor, pictures: bool = False) -> Sample:
    labels = torch.from_numpy(learner.predict_proba(images)).argmax(1)
    return Sample(names, learner.features(images), labels, images if pictures else None)


def _rows(sample: Sample, rows: Tensor) -> Sample:
    names = [name for name, chosen in zip(sample.files, rows.tolist(), strict=True) if chosen]
    images = None if sample.images is None else sample.images[rows]
    return Sample(names, sample.features[rows], sample.labels[rows], images)


def _common(one: Sample, other: Sample) -> Tensor:
    """Return the classes with enough images in both samples."""
    most = int(max(one.labels.max(), other.labels.max())) + 1
    counts = [sample.labels.bincount(minlength=most) for sample in (one, other)]
    return ((counts[0] >= FEW) & (counts[1] >= FEW)).nonzero().flatten()


def _mix(held: Tensor, new: Tensor, classes: Sequence[str]) -> list[Share]:
    """Return the classes with the largest change of their share."""
    before, now = (100 * each.bincount(minlength=len(classes)) / len(each) for each in (held, new))
    order = (now - before).abs().argsort(descending=True)[:SHOWN].tolist()
    return [
        Share(name=classes[label], before=float(before[label]), now=float(now[label]))
        for label in order
        if before[label] != now[label]
    ]
