"""What a session learns of a folder: readable pictures, each once, and only those that are new."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lord.config import NothingNewError, UserError
from lord.data import BadFile, BadFilesError, Labelled, bad_table, load_readable
from lord.learner.forgotten import forgotten_digests
from lord.learner.images import COLOUR, fingerprint, matched
from lord.learner.learner import Learner
from lord.learner.seen import digest_of
from lord.learner.start import side_to_start

CLASH = "the same picture is also in class '{}'"


@dataclass
class Intake:
    """The rows of a folder's images that a session learns.

    Attributes:
        rows: numbers of rows, in the order of learning.
        key: key of the session.
        notes: lines of text for people.
        renamed: new names of classes with pictures that were learned under another name, which is
            told for each.
        waiting: number of new images that the session does not learn.
    """

    rows: list[int]
    key: str
    notes: list[str] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)
    waiting: int = 0


def read_to_start(
    settings: Mapping[str, Any],
    source: Path,
    resize: int | None,
    only: Collection[str] | None = None,
) -> tuple[dict[str, Any], Labelled]:
    """Read the images of a new learner's first session, and complete the learner's settings.

    Files that cannot be used do not affect the side that images are resized to.
    """
    complete, side = side_to_start(settings, source, resize)
    given = load_readable(source, side, only)
    if given.bad:
        without = {bad.file for bad in given.bad}
        complete, other = side_to_start(settings, source, resize, without)
        given = given if other == side else load_readable(source, other, only)
    return complete, given


def report_bad(
    bad: Sequence[BadFile], source: Path, *, strict: bool, report: Callable[[str], None]
) -> None:
    """Report files that cannot be used, as a table.

    Raises:
        BadFilesError: if ``strict``.
    """
    if not bad:
        return
    files = f"{len(bad)} file{'s' * (len(bad) > 1)}"
    report(f"{'cannot use' if strict else 'skipping'} {files} of '{source}':")
    for line in bad_table(bad):
        report(line)
    if strict:
        raise BadFilesError(bad, hint="repair or remove them, or leave `strict` out")


def match_channels(given: Labelled, learner: Learner) -> Labelled:
    """Return images with the channels that a learner's images have, where that loses nothing.

    Colour images among grey ones become files that cannot be used, if the learner's are grey.

    Raises:
        RefusedError: if no image can have these channels.
    """
    if learner.shape is None:
        return given
    images, channels = given.images, learner.shape[0]
    if channels > 1:
        return replace(given, images=matched(images, channels))
    grey = (images == images[:, :1]).flatten(1).all(1)
    if grey.any() and not grey.all():
        shown = list(zip(grey.tolist(), given.labels, given.files, strict=True))
        images = images[grey]
        given = replace(
            given,
            labels=[label for ours, label, _ in shown if ours],
            files=[file for ours, _, file in shown if ours],
            bad=(*given.bad, *(BadFile(file, COLOUR) for ours, _, file in shown if not ours)),
            key=None,
        )
    return replace(given, images=matched(images, channels))


def choose_rows(
    learner: Learner,
    given: Labelled,
    source: Path,
    *,
    again: bool,
    clashed: Callable[[list[BadFile]], None],
) -> Intake:
    """Choose the images of a session.

    An interrupted session goes on with its own images. Otherwise, images are chosen that the
    learner was not given before, or not with this label. Of equal images, the first is chosen.

    Args:
        learner: the learner before the session.
        given: images as the learner gets them, labels and files of the folder.
        source: the folder.
        again: choose images that were learned before, too.
        clashed: called with the files whose picture is in several classes. They are not learned.

    Raises:
        BadFilesError: if all pictures are in several classes.
        NothingNewError: if all images were learned before.
        UserError: if a session was interrupted, and the folder does not hold its images.
    """
    digests = [digest_of(image) for image in given.images]
    if learner.unfinished is not None:
        return _interrupted(learner, digests, given, source)
    first, clashes = _each_once(digests, given)
    clashed(clashes)
    if not first:
        raise BadFilesError(clashes, f"no image of '{source}' can be used:")
    return _fresh(learner, digests, given, source, first, len(digests) - len(clashes), again=again)


def _fresh(
    learner: Learner,
    digests: Sequence[bytes],
    given: Labelled,
    source: Path,
    first: list[int],
    total: int,
    *,
    again: bool,
) -> Intake:
    """Return those of the first rows that are new, or all of them.

    Args:
        first: the first row of each image.
        total: number of images, with copies.
    """
    known = _known(learner, digests, given.labels)
    gone = forgotten_digests(learner.forgotten)
    kept = [row for row in first if digests[row] not in gone]
    first, forgotten = kept, len(first) - len(kept)
    rows = first if again else [row for row in first if known[row] is not True]
    if again and not rows:
        raise NothingNewError(f"all images of '{source}' were forgotten on request")
    if not again:
        _check_new(learner, rows, digests, given, source)
    notes, copies = list[str](), total - len(first) - forgotten
    counts = (
        (len(first) - len(rows), "was learned before", "were learned before"),
        (copies, "is a copy", "are copies"),
        (forgotten, "was forgotten on request", "were forgotten on request"),
    )
    if rest := [f"{n} {one if n == 1 else several}" for n, one, several in counts if n]:
        notes.append(f"learning {len(rows)} of {total} images; {', '.join(rest)}")
    relabelled = [row for row in rows if known[row] is False]
    if relabelled:
        notes.append(f"{len(relabelled)} of them had another label; the new label replaces it")
    content = fingerprint(given.images[rows], [given.labels[row] for row in rows])
    times = sum(each.key.startswith(content) for each in learner.sessions)
    places = learner.seen.find(digests[row] for row in relabelled)
    renamed = {
        given.labels[row]: learner.classes[learner.seen.labels[place]]
        for row, place in zip(relabelled, places, strict=True)
        if given.labels[row] not in learner.classes
    }
    key = f"{content}-{times + 1}" if times else content
    return Intake(rows, key, notes, renamed)


def _check_new(
    learner: Learner, rows: list[int], digests: Sequence[bytes], given: Labelled, source: Path
) -> None:
    """Check that a folder holds something new.

    States of earlier versions know whole folders only, by the keys of sessions.

    Raises:
        NothingNewError: if not.
    """
    seen, sessions = learner.seen, list(enumerate(learner.sessions))
    numbers = {n for n, each in sessions if given.key and each.key.startswith(given.key)}
    if rows and not numbers:
        return
    numbers |= {int(seen.sessions[row]) for row in seen.find(digests) if row >= 0}
    where = ", ".join(str(number + 1) for number in sorted(numbers))
    if not numbers:
        raise NothingNewError(f"all images of '{source}' were forgotten on request")
    raise NothingNewError(
        f"'{source}' was learned already, in session {where}",
        hint="set `again` to learn it once more",
    )


def _interrupted(
    learner: Learner, digests: Sequence[bytes], given: Labelled, source: Path
) -> Intake:
    """Return the images of the interrupted session, in their order.

    Raises:
        UserError: if the folder does not hold them all.
    """
    key, seen = learner.unfinished or "", learner.seen
    begun = (seen.sessions == len(learner.sessions)).nonzero().flatten().tolist()
    if not begun and given.key and key.startswith(given.key):  # an earlier version began it
        return Intake(list(range(len(digests))), key)
    known, places = _known(learner, digests, given.labels), dict[int, int]()
    for row, place in enumerate(seen.find(digests)):
        if known[row]:
            places.setdefault(place, row)
    missing = sum(place not in places for place in begun)
    if missing or not begun:
        some = f"lacks {missing} of its {len(begun)} images"
        what = some if missing < len(begun) else "does not hold its images"
        theirs = f"'{learner.unfinished_source}'" if learner.unfinished_source else "its images"
        raise UserError(
            f"a session was interrupted, and '{source}' {what}",
            hint=f"learn {theirs} first, or drop it with `abandon`",
        )
    first, _ = _each_once(digests, given)
    waiting = sum(known[row] is not True for row in first)
    return Intake([places[place] for place in begun], key, waiting=waiting)


def _each_once(digests: Sequence[bytes], given: Labelled) -> tuple[list[int], list[BadFile]]:
    """Return the first row of each image, and the files of images that are in several classes."""
    classes: dict[bytes, set[str]] = {}
    for digest, label in zip(digests, given.labels, strict=True):
        classes.setdefault(digest, set()).add(label)
    rows, clashes = dict[bytes, int](), []
    for row, (digest, label, file) in enumerate(
        zip(digests, given.labels, given.files, strict=True)
    ):
        if others := classes[digest] - {label}:
            clashes.append(BadFile(file, CLASH.format(min(others))))
        else:
            rows.setdefault(digest, row)
    return list(rows.values()), clashes


def _known(learner: Learner, digests: Sequence[bytes], labels: Sequence[str]) -> list[bool | None]:
    """Return for each image whether it was given with this label; None if it was not given."""
    numbers = {name: number for number, name in enumerate(learner.classes)}
    rows, given = learner.seen.find(digests), learner.seen.labels.tolist()
    return [
        None if row < 0 else given[row] == numbers.get(label)
        for row, label in zip(rows, labels, strict=True)
    ]
