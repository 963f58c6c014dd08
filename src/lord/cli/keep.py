"""What the commands for a kept learner do."""

import json
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from lord.cli.written import check_new, writing
from lord.config import UserError, load_plugin
from lord.data import contact_sheet, decode
from lord.learner import (
    Deployed,
    Learner,
    export_int8,
    export_onnx,
    export_pt2,
    holds_learner,
    learn_folder,
    load_model,
    match_channels,
)
from lord.storage import is_locked, write_atomic
from lord.training.folder import holds_run

NAMED = 20
"""New classes named after a session, at most."""
console = Console(markup=False)


def learn(
    folder: Path,
    state: Path,
    given: dict[str, Any],
    resize: int | None,
    seconds: float | None,
    flops: float | None,
    *,
    again: bool,
    abandoned: bool,
    every: float,
    plugin: Path | None,
) -> None:
    if plugin:
        load_plugin(plugin)
    _check_place(state, folder)
    try:
        with warnings_printed():
            learner = learn_folder(
                state,
                folder,
                given,
                resize=resize,
                again=again,
                abandon=abandoned,
                seconds=seconds,
                flops=flops,
                every=every,
                say=console.print,
            )
    except KeyboardInterrupt:
        raise KeyboardInterrupt("interrupted: the same command goes on") from None
    session = learner.sessions[-1]
    known, names = f"{len(learner.classes)} classes", session.new_classes
    more = f", ... {len(names)}" if len(names) > NAMED else ""
    new = f" ({', '.join(names[:NAMED])}{more} new)" if names else ""
    console.print(
        f"session {len(learner.sessions)}: {session.images} images, {known}{new}; "
        f"{session.steps} steps, {session.seconds:.0f} s, {session.flops:.3g} FLOPs",
        highlight=False,
        soft_wrap=True,
    )
    console.print(_exam(learner), highlight=False, soft_wrap=True)


def _check_place(state: Path, folder: Path) -> None:
    """See that a learner does not come to share a folder with a run, or with its images.

    Raises:
        UserError: if they would.
    """
    if holds_run(state) and not holds_learner(state):
        raise UserError(f"state: '{state}' holds a run's results: give another folder")
    if folder.is_dir() and state.resolve().is_relative_to(folder.resolve()):
        raise UserError(f"state: '{state}' is in the folder of the images: give another folder")


def predict(state: Path, files: Sequence[Path], *, as_json: bool, plugin: Path | None) -> None:
    if not files:
        raise UserError("files: name at least one image")
    learner = _loaded(state, plugin)
    if learner.shape is None:
        raise UserError("nothing was learnt yet")
    encoded = [(str(file), file.read_bytes) for file in files]
    pixels = torch.from_numpy(decode(encoded, learner.shape[1])).permute(0, 3, 1, 2)
    predictions = learner.predictions(match_channels(pixels, learner))
    for file, found in zip(files, predictions, strict=True):
        if as_json:
            own = {"file": str(file), "label": found.label, "confidence": found.confidence}
            print(json.dumps(own))
        else:
            print(f"{file}  {found.label}  {100 * found.confidence:.0f} %")


def inspect(state: Path, sheet: Path | None, plugin: Path | None) -> None:
    if sheet is not None:
        check_new(sheet)
    learner = _loaded(state, plugin)
    table = Table(
        "session", "images", "new classes", "level", "steps", "seconds", "FLOPs", "exam, %"
    )
    for number, own in enumerate(learner.sessions, 1):
        exam = _shares(own.held_out)
        cells = [own.images, ", ".join(own.new_classes), own.level, own.steps]
        table.add_row(str(number), *map(str, cells), f"{own.seconds:.0f}", f"{own.flops:.3g}", exam)
    console.print(table)
    method, facts = learner.method, Table(show_header=False)
    facts.add_row("method", learner.config.method)
    facts.add_row(
        "network", f"{learner.config.network.network}, width {learner.config.network.width}"
    )
    facts.add_row("images", "x".join(map(str, learner.shape or ())))
    facts.add_row("classes", ", ".join(learner.classes))
    if method is not None:
        facts.add_row("parameters", str(sum(p.numel() for p in method.predictor.parameters())))
        if hasattr(method, "elastic"):
            facts.add_row("student's channels", " ".join(map(str, method.elastic.counts)))
        if (teacher := getattr(method, "teacher", None)) is not None:
            facts.add_row("teacher's channels", " ".join(map(str, teacher.counts)))
        if method.buffer is not None and len(method.buffer):
            counts = method.buffer.held["labels"].bincount().tolist()
            held = ", ".join(f"{n} {c}" for n, c in zip(learner.classes, counts, strict=False))
            facts.add_row("buffer", f"{len(method.buffer)} images: {held}")
    spent = sum(own.seconds for own in learner.sessions), sum(own.flops for own in learner.sessions)
    facts.add_row("spent", f"{spent[0]:.0f} s, {spent[1]:.3g} FLOPs")
    facts.add_row("forgetting", _exam(learner))
    if learner.unfinished:
        how = "a session was interrupted; learn its images again to go on"
        if is_locked(state):
            how = "a session is going on; this is its last checkpoint"
        facts.add_row("unfinished", how)
    console.print(facts)
    if sheet is not None:
        _contact_sheet(learner, sheet)
        console.print(f"written: {sheet}")


def export(source: Path, out: Path, *, form: str, int8: bool, plugin: Path | None) -> None:
    if plugin:
        load_plugin(plugin)
    check_new(out)
    deployed, classes, images, labels = _exportable(source)
    if int8 and labels is None:
        raise UserError("int8: needs a learner's buffer to measure activations on")
    if int8 and form == "pt2":
        raise UserError("int8: is for --format onnx")
    said = ""
    with writing(out):
        if form == "pt2":
            export_pt2(deployed, classes, images[:2], out)
        elif labels is None or not int8:
            gap = export_onnx(deployed, classes, images, out)
            said = f"; largest difference from PyTorch {gap:.1g} on {len(images)} images"
        else:
            fp32 = out.with_name(f".{out.name}-fp32")
            try:
                export_onnx(deployed, classes, images, fp32)
                before, after = export_int8(fp32, images, labels, out)
            finally:
                fp32.unlink(missing_ok=True)
            said = f"; {after:.1f} % of the buffer right, {before:.1f} % in fp32"
    console.print(
        f"written: {out}, {out.stat().st_size / 1e6:.2f} MB{said}", highlight=False, soft_wrap=True
    )


def _exportable(source: Path) -> tuple[Deployed, Sequence[str], Tensor, Tensor | None]:
    """A learner's or a run's model, its classes, and images: its buffer's, with their labels, or
    random ones."""
    if not holds_learner(source):
        model = load_model(source)
        deployed = Deployed(model.network, model.mean, model.std)
        return deployed, model.classes, _random(model.shape), None
    learner = _loaded(source)
    if learner.method is None or learner.shape is None:
        raise UserError("nothing was learnt yet")
    deployed = Deployed(learner.method.predictor, *learner.normalisation)
    held = learner.method.buffer.held if learner.method.buffer is not None else {}
    if not held:
        return deployed, learner.classes, _random(learner.shape), None
    return deployed, learner.classes, held["images"], held["labels"]


def _random(shape: tuple[int, ...]) -> Tensor:
    return torch.randint(0, 256, (64, *shape), dtype=torch.uint8)


def _shares(exam: Sequence[float]) -> str:
    """Percentages; - for a session without exam images."""
    return " ".join("-" if math.isnan(share) else f"{share:.0f}" for share in exam)


def _exam(learner: Learner) -> str:
    if not learner.sessions:
        return "no session has ended yet"
    last, fell = learner.sessions[-1].held_out, learner.forgetting
    said = f"exam, images never learnt, by session: {_shares(last)}"
    return said + " %" + ("" if fell is None else f"; forgetting {fell:.1f}")


def _contact_sheet(learner: Learner, file: Path) -> None:
    if learner.method is None or learner.method.buffer is None or not len(learner.method.buffer):
        raise UserError("sheet: there is no buffer to show")
    held = learner.method.buffer.held
    order = held["labels"].argsort(stable=True)
    sheet = contact_sheet(held["images"][order], 20)
    with writing(file):
        write_atomic(file, lambda draft: sheet.save(draft, "PNG"))


def _loaded(state: Path, plugin: Path | None = None) -> Learner:
    if plugin:
        load_plugin(plugin)
    with warnings_printed():
        return Learner.load(state)


@contextmanager
def warnings_printed() -> Iterator[None]:
    """Inside, warnings are printed to the error stream as plain lines."""
    errors = Console(stderr=True, markup=False)

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        errors.print(str(message), highlight=False, soft_wrap=True)

    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = show
        yield
