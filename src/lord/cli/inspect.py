"""``lord inspect``: what a learner has learned, what it holds, and what it cost."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from lord.cli.console import check_new, console, say, writing
from lord.cli.learner import accuracies, load_learner, percentages
from lord.config import UserError

if TYPE_CHECKING:
    from lord.learner import Learner

EXAMPLES = """
lord inspect memory
lord inspect memory --sheet buffer.png
"""


def inspect(state: Path, /, *, sheet: Path | None = None, plugin: Path | None = None) -> None:
    """Show what a learner has learned, what it holds, and what it cost.

    Parameters
    ----------
    state
        Folder of the learner.
    sheet
        PNG file for a contact sheet of the buffer.
    plugin
        Python file that registers methods or networks.
    """
    if sheet is not None:
        if sheet.suffix.lower() not in ("", ".png"):
            raise UserError(field="sheet", given=sheet, allowed="a name that ends in .png")
        check_new("sheet", sheet)
    learner = load_learner(state, plugin)
    heads = ("session", "images", "new classes", "level", "steps", "seconds", "FLOPs")
    table = Table(*heads, "held-out accuracy, %")
    for number, each in enumerate(learner.sessions, 1):
        level = "-" if each.level is None else each.level
        cells = [number, each.images, ", ".join(each.new_classes), level, each.steps]
        costs = (f"{each.seconds:.0f}", f"{each.flops:.3g}", percentages(each.held_out))
        table.add_row(*map(str, cells), *costs)
    console.print(table)
    facts = Table(show_header=False)
    for name, value in _facts(learner, state):
        facts.add_row(name, value)
    console.print(facts)
    if sheet is not None:
        _write_sheet(learner, sheet)
        say(f"The contact sheet is {sheet}.")


def _facts(learner: "Learner", state: Path) -> Iterator[tuple[str, str]]:
    """The rows of the second table: a learner's settings, its parts, and what it cost."""
    from lord.storage import is_locked

    network = learner.config.network
    yield "method", learner.config.method
    if learner.method is None or learner.method.traits.features != "only":
        yield "network", f"{network.network}, width {network.width}"
    if frozen := learner.backbone:
        yield "backbone", f"{frozen.pretrained.name} at {frozen.size} px, frozen"
    yield "images", "x".join(map(str, learner.shape or ()))
    yield "classes", ", ".join(learner.classes)
    yield from _parts(learner)
    seconds = sum(session.seconds for session in learner.sessions)
    flops = sum(session.flops for session in learner.sessions)
    if learner.forgotten:
        count, last = sum(each.images for each in learner.forgotten), learner.forgotten[-1]
        yield "forgotten", f"{count} pictures on request, last on {last.date[:10]}"
    yield "cost", f"{seconds:.0f} s, {flops:.3g} FLOPs"
    yield "accuracy", accuracies(learner)
    if learner.unfinished and is_locked(state):
        yield "unfinished", "a session is running; this is its last checkpoint"
    elif learner.unfinished:
        yield "unfinished", "a session was interrupted; learn its images again to continue it"


def _parts(learner: "Learner") -> Iterator[tuple[str, str]]:
    """Sizes of the trained method's parts."""
    method = learner.method
    if method is None:
        return
    yield "parameters", str(sum(each.numel() for each in method.predictor.parameters()))
    if hasattr(method, "elastic"):
        yield "student's channels", " ".join(map(str, method.elastic.counts))
    if (teacher := getattr(method, "teacher", None)) is not None:
        yield "teacher's channels", " ".join(map(str, teacher.counts))
    if method.buffer is not None and len(method.buffer):
        counts = learner.class_numbers(method.buffer.held["labels"]).bincount().tolist()
        held = ", ".join(f"{n} {c}" for n, c in zip(learner.classes, counts, strict=False))
        yield "buffer", f"{len(method.buffer)} images: {held}"


def _write_sheet(learner: "Learner", file: Path) -> None:
    from lord.data import contact_sheet
    from lord.storage import write_atomic

    if learner.method is None or learner.method.buffer is None or not len(learner.method.buffer):
        raise UserError("cannot be written: the learner has no buffer", field="sheet", given=file)
    held = learner.method.buffer.held
    order = held["labels"].argsort(stable=True)
    sheet = contact_sheet(held["images"][order], 20)
    with writing(file):
        write_atomic(file, lambda draft: sheet.save(draft, "PNG"))
