"""Gather what a learner has learned, what it holds, what it cost, and what to do next."""

import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from torch import Tensor

from lord.config import UserError
from lord.evaluation.inspection import (
    BufferFigures,
    Inspection,
    Part,
    SessionFigures,
    Unfinished,
)
from lord.learner import Learner, Session
from lord.maintenance.advice import advised
from lord.maintenance.drift import drift_of_last_session
from lord.maintenance.evaluate import held_out_evaluation
from lord.storage import is_locked


def inspect_learner(learner: Learner, state: Path, *, pictures: bool = False) -> Inspection:
    """Return what a learner has learned, what it holds, what it cost, and what to do next.

    Args:
        learner: the learner in the folder.
        state: its folder.
        pictures: also return held-out images that are mistaken, or that drifted, as pictures.
    """
    method, network, frozen = learner.method, learner.config.network, learner.backbone
    trains = method is None or method.traits.features != "only"
    stem = "" if network.stem == "random" else f", stem {network.stem}"
    held_out, drift = None, None
    if method is not None:
        with suppress(UserError):  # outputs are not finite in a session that diverged
            held_out = held_out_evaluation(learner, pictures=pictures)
            drift = drift_of_last_session(learner, pictures=pictures)
    found = Inspection(
        state=str(state),
        method=learner.config.method,
        network=f"{network.network}, width {network.width}{stem}" if trains else "",
        backbone=f"{frozen.pretrained.name} at {frozen.size} px, frozen" if frozen else "",
        shape=list(learner.shape or ()),
        classes=learner.classes,
        given=_given(learner),
        sessions=[_session(number, each) for number, each in enumerate(learner.sessions, 1)],
        held_out=held_out,
        forgetting=learner.forgetting,
        parameters=sum(each.numel() for each in method.predictor.parameters()) if method else 0,
        student=list(getattr(getattr(method, "elastic", None), "counts", ())),
        teacher=list(getattr(getattr(method, "teacher", None), "counts", ())),
        buffer=_buffer(learner),
        drift=drift,
        disk=_files(state),
        memory=_tensors(learner),
        seconds=sum(session.seconds for session in learner.sessions),
        flops=sum(session.flops for session in learner.sessions),
        forgotten=sum(each.images for each in learner.forgotten),
        forgotten_on=learner.forgotten[-1].date[:10] if learner.forgotten else "",
        unfinished=_unfinished(learner, state),
    )
    return advised(found)


def _given(learner: Learner) -> list[int]:
    """Return the number of images of each class that the learner was given; empty if unknown."""
    if not len(learner.seen):
        return []
    return learner.seen.labels.long().bincount(minlength=len(learner.classes)).tolist()


def _session(number: int, session: Session) -> SessionFigures:
    return SessionFigures(
        number=number,
        date=session.date,
        source=session.source or "",
        images=session.images,
        new_classes=session.new_classes,
        level=session.level,
        steps=session.steps,
        seconds=session.seconds,
        flops=session.flops,
        held_out=[None if math.isnan(share) else share for share in session.held_out],
    )


def _buffer(learner: Learner) -> BufferFigures | None:
    buffer = learner.method.buffer if learner.method else None
    if buffer is None or not len(buffer):
        return None
    labels = learner.class_numbers(buffer.held["labels"])
    counts = labels.bincount(minlength=len(learner.classes)).tolist()
    return BufferFigures(images=len(buffer), capacity=buffer.size, classes=counts)


def _unfinished(learner: Learner, state: Path) -> Unfinished | None:
    opened = learner.state_dict()["open"]
    if opened is None:
        return None
    session = opened["session"]
    return Unfinished(
        running=is_locked(state),
        source=session["source"] or "",
        images=session["images"],
        steps=opened["done"],
    )


def _files(state: Path) -> list[Part]:
    """Return the files in a learner's folder, the largest first."""
    files = [file for file in state.rglob("*") if file.is_file()] if state.is_dir() else [state]
    parts = [Part(name=file.name, size=file.stat().st_size) for file in files]
    return sorted(parts, key=lambda part: -part.size)


def _tensors(learner: Learner) -> list[Part]:
    """Return the bytes of the tensors in a learner's state, by part."""
    state = learner.state_dict()
    method = state.pop("method") or {}
    own = method.pop("own", {})
    named = {**method, **own, **state}
    sizes = {name: sum(_sizes(value)) for name, value in named.items()}
    parts = [Part(name=name.replace("_", " "), size=size) for name, size in sizes.items() if size]
    return sorted(parts, key=lambda part: -part.size)


def _sizes(value: object) -> Iterator[int]:
    if isinstance(value, Tensor):
        yield value.numel() * value.element_size()
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _sizes(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _sizes(each)
