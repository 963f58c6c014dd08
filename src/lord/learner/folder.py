"""A learner's folder: its checkpoint, and the lock that keeps other processes out."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from lord.config import GuardRailError, NothingNewError, UserError, as_path, convert
from lord.config.types import NonNegative
from lord.data import has_pictures, load_labelled
from lord.learner.guard import Guard
from lord.learner.images import matched
from lord.learner.learner import Learner
from lord.learner.session import STATE_FILE, holds_learner
from lord.learner.setup import all_settings, flat_settings, learner_config
from lord.learner.snapshots import (
    drop_snapshots,
    rename_old_snapshot,
    restore_snapshot,
    snapshot,
    take_snapshot,
)
from lord.learner.start import RESIZE, settings_to_start, side_to_start
from lord.storage import locked, save_state


def learn_folder(
    folder: str | Path,
    source: str | Path,
    given: Mapping[str, Any],
    *,
    resize: int | None = None,
    again: bool = False,
    abandon: bool = False,
    seconds: float | None = None,
    flops: float | None = None,
    tolerance: float = 15.0,
    every: float = 60.0,
    report: Callable[[str], None] = print,
) -> Learner:
    """Learn images with the learner in a folder. The first call makes the learner.

    The folder is locked from reading the learner to writing it. A session that was interrupted
    continues from its last checkpoint, and ends as if it had not been interrupted.

    Args:
        folder: the learner's folder.
        source: images in any layout that ``load_labelled`` knows.
        given: settings of ``Learner`` by name. Later calls may repeat them.
        resize: side in pixels of the squares that images are resized to. By default 32, or as the
            images and the backbone need it.
        again: learn images that were learned before once more.
        abandon: drop the session that was interrupted, and learn these images instead.
        seconds, flops: training budget, instead of a number of epochs.
        tolerance: points by which the held-out accuracy of earlier sessions may fall. If it falls
            further, the session is dropped. See ``Guard``.
        every: seconds between checkpoints.
        report: receives lines of text: what a new learner starts from, and whether a session
            continues.

    Returns:
        The learner after the session.

    Raises:
        LockedError: if another process is learning in the folder.
        NothingNewError: for images that were learned before.
        GuardRailError: if the session was dropped, because accuracy fell.
        UserError: if settings differ from those the learner was made with, or for images that do
            not fit.
    """
    folder, source = as_path("folder", folder), as_path("source", source)
    tolerance = convert("tolerance", tolerance, NonNegative)
    _check_budget(given, seconds, flops)
    with locked(folder, "learning"):
        rename_old_snapshot(folder)
        network = given.get("network")
        module = network if isinstance(network, nn.Module) else None
        learner = _opened(folder, given, module, resize, abandon=abandon)
        if learner is None:
            started = settings_to_start(given, report)
            settings, side = side_to_start(started, source, resize)
            learner = Learner(**settings)
        else:
            side = learner.shape[1] if learner.shape else resize or RESIZE
        images, labels, content = load_labelled(source, side)
        _check_not_nested(learner, source, labels)
        key = _session_key(learner, source, content, again=again)
        if learner.unfinished:
            report("continuing the session that was interrupted")
        images = match_channels(images, learner)
        budget = {"seconds": seconds, "flops": flops}
        before = _before(learner, folder, module, abandon=abandon)
        with _guarded(learner, folder, before, tolerance):
            pause = _checkpoints(learner, folder / STATE_FILE, every)
            learner.learn(
                images, labels, key=key, source=str(source.resolve()), pause=pause, **budget
            )
    return learner


@contextmanager
def _guarded(
    learner: Learner, folder: Path, before: Learner | None, tolerance: float
) -> Iterator[None]:
    """Inside, a session is learned. Afterwards it is written, or dropped if it harmed the learner.

    Args:
        learner: the learner that learns.
        folder: its folder.
        before: the learner before the session; None if it is not known.
        tolerance: points by which accuracy may fall.

    Raises:
        GuardRailError: if it was dropped.
    """
    done, guard = len(learner.sessions), None if before is None else Guard(before)
    yield
    try:
        if guard:
            guard.check(learner, tolerance)
    except GuardRailError:
        restore_snapshot(folder, done)
        raise
    _save(learner, folder / STATE_FILE)
    drop_snapshots(folder, range(done + 1 - learner.config.undo, done + 1))


def _before(
    learner: Learner, folder: Path, module: nn.Module | None, *, abandon: bool
) -> Learner | None:
    """Return the learner before the session that it is about to learn or to finish.

    It stays on disk while the session is learned. None if there was none, or its file is gone.
    """
    file = snapshot(folder, len(learner.sessions))
    if learner.unfinished is not None:
        return Learner.load(file, module) if file.exists() else None
    if learner.sessions and not abandon:  # otherwise, the learner was read from there
        take_snapshot(folder, len(learner.sessions))
    return learner if learner.sessions else None


def _check_budget(given: Mapping[str, Any], seconds: float | None, flops: float | None) -> None:
    """Check that a session has a number of epochs, or a budget.

    Raises:
        UserError: if both are given.
    """
    if "epochs" in given and (seconds or flops):
        field = "seconds" if seconds else "flops"
        raise UserError(
            "replaces `epochs`, so the two cannot be given together",
            field=field,
            given=seconds or flops,
            hint="leave one of them out",
        )


def match_channels(images: Tensor, learner: Learner) -> Tensor:
    """Return images with the channels that a learner's images have, where that loses nothing.

    Raises:
        UserError: for colour images, if the learner has learned grey ones.
    """
    return matched(images, learner.shape[0]) if learner.shape else images


def _opened(
    folder: Path,
    given: Mapping[str, Any],
    module: nn.Module | None,
    resize: int | None,
    *,
    abandon: bool,
) -> Learner | None:
    """Return the folder's learner, with the settings given; None if there is none."""
    latest = Learner.load(folder, module) if abandon or holds_learner(folder) else None
    # On disk, an abandoned session stays until the next one has begun.
    learner = _before_interrupted(folder, latest, module) if abandon and latest else latest
    if learner:
        _check_settings(learner, folder, given, resize)
        return learner
    return Learner(**{**flat_settings(latest.config), **given}) if latest else None


def _before_interrupted(folder: Path, latest: Learner, module: nn.Module | None) -> Learner | None:
    """Return the learner as it was before the interrupted session; None if that was its first.

    Raises:
        UserError: if no session was interrupted, or the checkpoint before it is gone or damaged.
    """
    if not latest.unfinished:
        raise UserError(f"no session was interrupted in '{folder}'", field="abandon")
    if not latest.sessions:
        return None
    finished = snapshot(folder, len(latest.sessions))
    if not finished.exists():
        raise UserError(f"'{finished}' is gone, which held the learner before", field="abandon")
    return Learner.load(finished, module)


def _check_settings(
    learner: Learner, folder: Path, given: Mapping[str, Any], resize: int | None
) -> None:
    """Check that settings given again are as they were, so that a command may be repeated whole.

    Raises:
        UserError: names a setting that differs.
    """
    was = all_settings(learner.config)
    if given.get("method", was["method"]) == was["method"]:
        now = all_settings(learner_config({**flat_settings(learner.config), **given}))
    else:
        now = {**was, "method": given["method"]}
    names = list(given)
    if learner.shape and resize:
        names.append("resize")
        was["resize"], now["resize"] = learner.shape[1], resize
    for name in names:
        if now[name] != was[name]:
            raise UserError(
                f"differs from {was[name]}, with which the learner in '{folder}' was made",
                field=name,
                given=now[name],
                hint="leave it out",
            )


def _session_key(learner: Learner, source: Path, content: str, *, again: bool) -> str:
    """Return the key of the session that learns images with a hash of their content.

    Raises:
        NothingNewError: if they were learned before.
        UserError: if another session is unfinished.
    """
    earlier = [n for n, each in enumerate(learner.sessions, 1) if each.key.startswith(content)]
    if earlier and not again and learner.unfinished is None:
        raise NothingNewError(
            f"'{source}' was learned already, in session {earlier[-1]}",
            hint="set `again` to learn it once more",
        )
    key = f"{content}-{len(earlier) + 1}" if earlier else content
    if learner.unfinished not in (None, key):
        raise UserError(
            f"a session was interrupted, and '{source}' does not hold its images",
            hint="learn its images first, or set `abandon` to drop it",
        )
    return key


def _check_not_nested(learner: Learner, source: Path, labels: Sequence[str]) -> None:
    """Check that folders of classes, such as one a week, are not taken for classes themselves.

    Raises:
        UserError: names one.
    """
    names = sorted(set(labels) - set(learner.classes))
    inner = {name: sorted(each.name for each in (source / name).glob("[!.]*/")) for name in names}
    for name in names:
        if known := [each for each in inner[name] if each in learner.classes]:
            raise UserError(
                f"'{source / name}' would become a class, but holds a folder of class '{known[0]}'",
                hint=f"learn '{source / name}' instead",
            )
    # A folder 'images' in each class is a known layout.
    nested = names and all(each not in ([], ["images"]) for each in inner.values())
    if nested and not any(has_pictures(source / name) for name in names):
        name, some = names[0], ", ".join(inner[names[0]][:3])
        raise UserError(
            f"'{source / name}' would become a class, but holds only folders ({some})",
            hint=f"if those are the classes, learn '{source / name}'; else put the images of "
            f"'{name}' beside them",
        )


def _checkpoints(learner: Learner, file: Path, every: float) -> Callable[[], None]:
    """Return a function that writes a checkpoint when ``every`` seconds have passed."""
    last = time.monotonic()

    def pause() -> None:
        nonlocal last
        if time.monotonic() - last >= every:
            _save(learner, file)
            last = time.monotonic()

    return pause


def _save(learner: Learner, file: Path) -> None:
    save_state({"learner": learner.state_dict()}, file)
