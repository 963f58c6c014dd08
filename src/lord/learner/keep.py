"""A learner's folder: its state, and a lock so that only one process has it."""

import time
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from lord.config import UserError
from lord.data import has_pictures, load_labelled
from lord.learner.learner import Learner
from lord.learner.session import STATE_FILE, Session
from lord.storage import has_state, previous, save_state

FINISHED = "state-finished.safetensors"
"""The state before the last session."""


def exists(folder: Path) -> bool:
    """Whether there is a learner in ``folder``."""
    return has_state(folder / STATE_FILE)


def load_learner(folder: Path) -> tuple[Learner, str | None]:
    """The learner in a folder, to look at; and what is to be said if its file was damaged.

    Raises:
        UserError: if there is none, or none is whole.
    """
    if not exists(folder):
        if (folder / "model.safetensors").exists():
            raise UserError(
                f"'{folder}' holds a run's model, not a learner: lord.load_model takes it"
            )
        raise UserError(f"no learner at '{folder}': 'lord learn' makes one")
    return Learner.load(folder)


def before_interrupted(folder: Path) -> Learner | None:
    """The learner in a folder as it was before the session that was interrupted; None, if that was
    its first. On disk all stays as it is, until something else is learnt.

    Raises:
        UserError: if no session was interrupted, or the state before it is not there or damaged.
    """
    finished = folder / FINISHED
    learner, _ = load_learner(folder)
    if not learner.unfinished:
        raise UserError(f"abandon: no session was interrupted in '{folder}'")
    if not learner.sessions:
        return None
    if not finished.exists():
        raise UserError(f"abandon: '{finished}', what was learnt before, is not there")
    return Learner.load(finished)[0]


def learn_folder(
    learner: Learner,
    folder: Path,
    source: Path,
    *,
    resize: int,
    again: bool = False,
    seconds: float | None = None,
    flops: float | None = None,
    every: float = 60.0,
) -> Session:
    """Learn the images at ``source`` in a session, and keep the learner in ``folder``.

    What was interrupted goes on where the last checkpoint was: the result is that of a session
    never stopped.

    Args:
        resize: side in pixels, if this is the first session.
        again: learn what was learnt before once more.
        seconds, flops: what it may cost.
        every: seconds between checkpoints.

    Raises:
        UserError: for images that do not fit, or were learnt before.
    """
    side = learner.shape[1] if learner.shape else resize
    images, labels, key = load_labelled(source, side)
    _see_no_weeks(learner, source, labels)
    known = check_unknown(learner, source, key, again=again or learner.unfinished is not None)
    if known:
        key = f"{key}-{len(known) + 1}"
    if learner.unfinished not in (None, key):
        raise UserError(
            f"a session that was interrupted is to be finished first, and with other images than "
            f"'{source}' holds now; to go back to before it, give --abandon"
        )
    if learner.unfinished is None and learner.sessions:
        _save(learner, folder / FINISHED)
        previous(folder / FINISHED).unlink(missing_ok=True)
    last = time.monotonic()

    def pause() -> None:
        nonlocal last
        if time.monotonic() - last >= every:
            _save(learner, folder / STATE_FILE)
            last = time.monotonic()

    session = learner.learn(
        coloured(images, learner), labels, key=key, seconds=seconds, flops=flops, pause=pause
    )
    _save(learner, folder / STATE_FILE)
    return session


def _save(learner: Learner, file: Path) -> None:
    save_state({"learner": learner.state_dict()}, file)


def check_unknown(learner: Learner, source: Path, key: str, *, again: bool) -> list[int]:
    """The sessions in which images were learnt before; none, unless ``again``.

    Raises:
        UserError: names the last of them.
    """
    known = [number for number, own in enumerate(learner.sessions, 1) if own.key.startswith(key)]
    if known and not again:
        raise UserError(
            f"'{source}' was learnt already, in session {known[-1]}; --again does it anew"
        )
    return known


def _see_no_weeks(learner: Learner, source: Path, labels: Sequence[str]) -> None:
    """See that folders of classes, such as weeks, are not taken for classes themselves.

    Raises:
        UserError: names one.
    """
    names = sorted(set(labels) - set(learner.classes))
    inner = {new: sorted(own.name for own in (source / new).glob("[!.]*/")) for new in names}
    for new in names:
        for known in inner[new]:
            if known in learner.classes:
                raise UserError(
                    f"'{source}' would make '{new}' a class, but it holds a folder of class "
                    f"'{known}': name '{source / new}' instead"
                )
    # In each class a folder 'images' is a layout of its own.
    nested = names and all(own not in ([], ["images"]) for own in inner.values())
    if nested and not any(has_pictures(source / new) for new in names):
        new, some = names[0], ", ".join(inner[names[0]][:3])
        raise UserError(
            f"'{source}' would make '{new}' a class, but it holds only folders ({some}): if those "
            f"are the classes, name '{source / new}'; else put the images of '{new}' beside them"
        )


def coloured(images: Tensor, learner: Learner) -> Tensor:
    """Grey images in three channels, where the learner has learnt coloured ones.

    Raises:
        UserError: for coloured ones, where it has learnt grey ones.
    """
    if learner.shape and learner.shape[0] == 1 and images.shape[1] == 3:
        if (images == images[:, :1]).all():  # grey, in three channels
            return images[:, :1].contiguous()
        raise UserError("images: this learner has learnt grey ones, these are in colour")
    if learner.shape and learner.shape[0] == 3 and images.shape[1] == 1:
        return images.expand(-1, 3, -1, -1).contiguous()
    return images
