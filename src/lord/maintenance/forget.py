"""Forget pictures that a learner learned."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lord.config import UserError, as_path
from lord.data import BadFile, BadFilesError, load_labelled, pictures_below
from lord.learner import Learner
from lord.learner.forgotten import Forgotten, forgotten_digests
from lord.learner.images import matched, read_pictures
from lord.learner.seen import digest_of
from lord.maintenance.change import change_folder
from lord.methods import forget_images, is_exact

BATCH, ARRAYS = 256, ".npz"
"""Pictures that are read at a time; ending of a file of arrays."""


class Forgetting(NamedTuple):
    """What came of forgetting pictures.

    Attributes:
        learner: the learner afterwards.
        record: what was forgotten; None if all of it was forgotten before.
        unknown: pictures that were not learned, or cannot be read.
    """

    learner: Learner
    record: Forgotten | None
    unknown: list[BadFile]


def forget_pictures(
    folder: str | Path, pictures: Sequence[str | Path], network: nn.Module | None = None
) -> Forgetting:
    """Forget pictures in a learner's folder, and in the cache of features.

    Pictures are found by their content, whatever their names. They leave the learner, its buffer,
    its held-out images and the learner before each session that can be undone. The sums of a
    closed-form head are then those of one that never learned them, up to rounding. It has fewer
    images for choices such as its temperature, because those that leave are not replaced. Weights
    of a trained network may still reflect them. A digest of each stays, so that it is not learned
    again by mistake.

    Args:
        folder: the learner's folder.
        pictures: files, and folders with pictures at any depth.
        network: the module that the learner was made with, if any.

    Raises:
        LockedError: if another process uses the learner.
        UserError: if no picture was learned, or a session is unfinished.
    """
    request = _Request([as_path("pictures", path) for path in pictures])
    learner = change_folder(
        as_path("folder", folder), "forgetting pictures", request.check, request.change, network
    )
    if learner.backbone is not None:
        learner.backbone.forget(torch.stack(list(request.images.values())))
    return Forgetting(learner, request.record, request.unknown)


class _Request:
    """Pictures to forget, and what is found of them."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = paths
        self.images: dict[bytes, Tensor] = {}
        """Images that the learner learned or forgot, by their digest."""
        self.record: Forgotten | None = None
        self.unknown: list[BadFile] = []

    def check(self, learner: Learner) -> None:
        """Read the pictures, and find out which of them the learner learned.

        Raises:
            UserError: if it learned none of them.
        """
        before, names = forgotten_digests(learner.forgotten), []
        noted = set(range(len(learner.sessions))) <= set(learner.seen.sessions.tolist())
        reason = "was not learned" if noted else "is not among the images known"  # an old state
        for name, image in self._pictures(learner):
            digest, row = digest_of(image), int(learner.seen.rows(image[None])[0])
            if row < 0 and digest not in before:
                self.unknown.append(BadFile(name, reason))
                continue
            if row >= 0 and digest not in self.images:
                names.append(learner.classes[learner.seen.labels[row]])
            self.images[digest] = image
        if not self.images:
            if not self.unknown:
                raise UserError("hold no picture", field="pictures", given=self.paths)
            hint = "pictures must have the same pixels as when they were learned"
            raise BadFilesError(self.unknown, "no picture can be forgotten:", hint)
        if names:
            digests = sorted(digest.hex() for digest in self.images if digest not in before)
            now = datetime.now(UTC).isoformat(timespec="seconds")
            exact = learner.method is not None and is_exact(learner.method)
            self.record = Forgotten(now, len(names), dict(Counter(names)), exact, digests)

    def change(self, learner: Learner) -> None:
        """Forget the pictures in a learner, whichever of them it knows."""
        images = torch.stack(list(self.images.values()))
        if learner.method is not None:
            learned, labels = learner.seen.times(images[learner.held_out.rows_to_learn(images)])
            if len(labels):
                outputs = torch.tensor(learner.outputs)[labels]
                forget_images(learner.method, learner._given(learned), outputs)
        learner.held_out.forget(images)
        learner.seen.forget(images)
        known = forgotten_digests(learner.forgotten)  # a killed command may have noted them
        if self.record is not None and not known.issuperset(
            map(bytes.fromhex, self.record.digests)
        ):
            learner.forgotten.append(self.record)

    def _pictures(self, learner: Learner) -> Iterator[tuple[str, Tensor]]:
        """Yield the name and the pixels of each picture, C x H x W uint8, as the learner gets it.

        Those that cannot be read are noted, with the reason.
        """
        assert learner.shape
        for path in self.paths:
            files = list(pictures_below(path)) if path.is_dir() else [path]
            if path.is_dir() and not any(each.is_file() for each in path.rglob("[!.]*")):
                self.unknown.append(BadFile(str(path), "an empty folder"))
                continue
            if not files or path.suffix.lower() == ARRAYS:
                images = matched(load_labelled(path, learner.shape[1])[0], learner.shape[0])
                yield from ((f"{path}, image {row}", each) for row, each in enumerate(images))
                continue
            for start in range(0, len(files), BATCH):
                some = [(str(file), file.read_bytes) for file in files[start : start + BATCH]]
                found = read_pictures(some, learner.shape)
                for (name, _), each in zip(some, found, strict=True):
                    if isinstance(each, BadFile):
                        self.unknown.append(each)
                    else:
                        yield name, each[0]
