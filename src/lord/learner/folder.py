"""A learner's folder: its checkpoint, and the lock that keeps other processes out."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import nn

from lord.backbone import absolute_name
from lord.config import GuardRailError, NothingNewError, UserError, as_path, convert
from lord.config.types import NonNegative
from lord.data import BadFile, check_not_nested, load_readable
from lord.learner.corrections import correct_held_out, forget_old_labels, with_old_copies
from lord.learner.guard import Guard
from lord.learner.intake import choose_rows, match_channels, read_to_start, report_bad
from lord.learner.learner import Learner
from lord.learner.names import check_names
from lord.learner.session import STATE_FILE, holds_learner
from lord.learner.setup import all_settings, flat_settings, learner_config
from lord.learner.snapshots import (
    drop_snapshots,
    rename_old_snapshot,
    restore_snapshot,
    snapshot,
    take_snapshot,
)
from lord.learner.start import settings_to_start
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
    strict: bool = False,
    new_classes: bool | None = None,
    ask: Callable[[str], bool] | None = None,
    only: Collection[str] | None = None,
    later: list[BadFile] | None = None,
    report: Callable[[str], None] = print,
) -> Learner:
    """Learn images with the learner in a folder. The first call makes the learner.

    Only images are learned that the learner was not given before. Of equal images, one is learned.
    Files that cannot be used are listed, and left out.

    The folder is locked from reading the learner to writing it. A session that was interrupted
    continues from its last checkpoint with its images, and ends as if it had not been interrupted.

    Args:
        folder: the learner's folder.
        source: images in any layout that ``load_labelled`` knows.
        given: settings of ``Learner`` by name. Later calls may repeat them.
        resize: side in pixels of the squares that images are resized to. By default as the
            images and the backbone need it, at least 32.
        again: learn images that were learned before once more, too.
        abandon: drop the session that was interrupted, and learn these images instead.
        seconds, flops: training budget, instead of a number of epochs.
        tolerance: points by which the held-out accuracy of earlier sessions may fall. If it falls
            further, the session is dropped. See ``Guard``.
        every: seconds between checkpoints.
        strict: refuse a folder with files that cannot be used.
        new_classes: True to accept any new class, False to refuse all. By default, a name that may
            be a known one spelled differently is refused.
        ask: asks a person about a doubtful name, and returns whether it is a class of its own.
        only: files to learn, for a folder of pictures; None for all of them. Others may be read
            to tell a picture that is in two classes from one that was moved.
        later: receives files that are not learned, but may be later: those whose picture is in
            several classes, and those that could not be read.
        report: receives lines of text about what is learned and what is not.

    Returns:
        The learner after the session.

    Raises:
        LockedError: if another process is learning in the folder.
        NothingNewError: if all images were learned before.
        GuardRailError: if the session was dropped, because accuracy fell.
        BadFilesError: if no file can be used, or ``strict`` is set and one cannot.
        RefusedError: for images or names of classes that do not fit.
        UserError: if settings differ from those the learner was made with, or a file cannot be
            read or written.
    """
    folder, source = as_path("folder", folder), as_path("source", source)
    # Later commands may run in another folder.
    if given.get("weights"):
        given = {**given, "weights": str(Path(given["weights"]).absolute())}
    if given.get("backbone"):
        given = {**given, "backbone": absolute_name(str(given["backbone"]))}
    tolerance = convert("tolerance", tolerance, NonNegative)
    _check_budget(given, seconds, flops)
    with locked(folder, "learning"):
        rename_old_snapshot(folder)
        network = given.get("network")
        module = network if isinstance(network, nn.Module) else None
        learner, known, side = _opened(folder, given, module, resize, abandon=abandon)
        resize = resize or side
        if learner is None or learner.shape is None:
            started = {**known, **given} if known else settings_to_start(given, report)
            settings, loaded = read_to_start(started, source, resize, only)
            learner = Learner(**settings)
        else:
            loaded = load_readable(source, learner.shape[1], only)
        check_not_nested(source, loaded.labels, learner.classes)
        loaded = match_channels(loaded, learner)
        report_bad(loaded.bad, source, strict=strict, report=report)
        if later is not None:
            later.extend(bad for bad in loaded.bad if bad.passing)
        if only is not None:
            loaded = with_old_copies(learner, loaded, source)

        def clashed(files: list[BadFile]) -> None:
            report_bad(files, source, strict=strict, report=report)
            if later is not None:
                later.extend(files)

        intake = choose_rows(learner, loaded, source, again=again, clashed=clashed)
        images, labels = loaded.images[intake.rows], [loaded.labels[row] for row in intake.rows]
        new = sorted(set(labels) - set(learner.classes))
        earlier = {n: learner.classes[number] for n, number in learner.seen.names.items()}
        check_names(new, learner.classes, intake.renamed, earlier, allowed=new_classes, ask=ask)
        for note in intake.notes:
            report(note)
        if count := correct_held_out(learner, images, labels):
            _save(learner, folder / STATE_FILE)
            what = f"'{source}' has nothing to learn; labels of held-out images corrected: {count}"
            raise NothingNewError(what)
        if learner.unfinished:
            report("continuing the session that was interrupted")
        before = _before(learner, folder, module, abandon=abandon)
        with _guarded(learner, folder, before, tolerance):
            if learner.unfinished is None:
                forget_old_labels(learner, images, labels)
            learner.learn(
                images,
                labels,
                key=intake.key,
                source=str(source.resolve()),
                seconds=seconds,
                flops=flops,
                pause=_checkpoints(learner, folder / STATE_FILE, every),
            )
        if intake.waiting:
            report(f"new images still to learn: {intake.waiting}; repeat the command")
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


def _opened(
    folder: Path,
    given: Mapping[str, Any],
    module: nn.Module | None,
    resize: int | None,
    *,
    abandon: bool,
) -> tuple[Learner | None, dict[str, Any], int | None]:
    """Return the folder's learner, its settings and the side of its images; None if there is none.

    If its first session is abandoned, there is no learner either, but the others stay.
    """
    latest = Learner.load(folder, module) if abandon or holds_learner(folder) else None
    # On disk, an abandoned session stays until the next one has begun.
    learner = _before_interrupted(folder, latest, module) if abandon and latest else latest
    if learner:
        _check_settings(learner, folder, given, resize)
    side = latest.shape[1] if latest and latest.shape else None
    return learner, flat_settings(latest.config) if latest else {}, side


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
    if was.get("backbone"):  # earlier versions kept paths as they were typed
        was["backbone"] = absolute_name(was["backbone"])
    if given.get("method", was["method"]) == was["method"]:
        now = all_settings(learner_config({**flat_settings(learner.config), **given}))
    else:
        now = {**was, "method": given["method"]}
    names = list(given)
    if learner.shape and resize:
        names.append("resize")
        was["resize"], now["resize"] = learner.shape[1], resize
    for name in sorted(names, key=lambda name: name != "method"):  # others depend on it
        if now[name] != was[name]:
            kept = "the default" if was[name] is None else was[name]
            raise UserError(
                f"differs from {kept}, with which the learner in '{folder}' was made",
                field=name,
                given=now[name],
                hint="leave it out",
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
