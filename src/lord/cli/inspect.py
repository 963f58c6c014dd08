"""``lord inspect``: what a learner has learned, what it holds, and what it cost."""

from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from rich.table import Table

from lord.cli.console import check_new, say, show, writing
from lord.cli.flags import Switch
from lord.cli.learner import accuracies, load_learner
from lord.config import UserError

if TYPE_CHECKING:
    from lord.evaluation.inspection import Inspection
    from lord.learner import Learner

EXAMPLES = """
lord inspect memory
lord inspect memory --json
lord inspect memory --html memory.html
lord inspect memory --sheet buffer.png
"""


def inspect(
    state: Path,
    /,
    *,
    json: Switch = False,
    html: Path | None = None,
    sheet: Path | None = None,
    plugin: Path | None = None,
) -> None:
    """Show what a learner has learned, what it holds, what it cost, and what to do next.

    Parameters
    ----------
    state
        Folder of the learner.
    json
        Print everything as one JSON object.
    html
        File for a page with charts and pictures. It works offline. A page that was there is
        replaced.
    sheet
        PNG file for a contact sheet of the buffer.
    plugin
        Python file that registers methods or networks.
    """
    from lord.maintenance import inspect_learner

    if sheet is not None:
        if sheet.suffix.lower() not in ("", ".png"):
            raise UserError(field="sheet", given=sheet, allowed="a name that ends in .png")
        check_new("sheet", sheet)
    learner = load_learner(state, plugin, latest=True)
    found = inspect_learner(learner, state, pictures=html is not None)
    if json:
        from lord.storage import json_text

        print(json_text(found))
    elif html is None:
        _print(found, learner)
    if html is not None:
        from lord.reporting.html.learner import LearnerPage, write_learner_page

        write_learner_page(LearnerPage(title=state.resolve().name, inspection=found), html)
        if not json:
            say(f"The page is {html}.")
    if sheet is not None:
        _write_sheet(learner, sheet)
        if not json:
            say(f"The contact sheet is {sheet}.")


def _print(found: "Inspection", learner: "Learner") -> None:
    heads = ("session", "source", "images", "new classes", "level", "steps", "seconds", "FLOPs")
    table = Table(*heads, "held-out accuracy, %")
    for each in found.sessions:
        level = "-" if each.level is None else each.level
        held = " ".join("-" if share is None else f"{share:.0f}" for share in each.held_out)
        cells = [each.number, PurePath(each.source).name or "-", each.images]
        cells += [", ".join(each.new_classes), level, each.steps, f"{each.seconds:.0f}"]
        table.add_row(*map(str, cells), f"{each.flops:.3g}", held)
    show(table)
    _print_classes(found)
    facts = Table(show_header=False)
    for name, value in _facts(found):
        facts.add_row(name, value)
    facts.add_row("accuracy", accuracies(learner))
    show(facts)
    for advice in found.advice:
        say(f"- {advice.text}")
        if advice.command:
            say(f"    {advice.command}")


def _print_classes(found: "Inspection") -> None:
    """Print a table with a line for each class."""
    if not found.sessions:
        return
    table = Table("class", "images", "held out", "recall, %", "precision, %", "buffer")
    held = {each.name: each for each in found.held_out.classes} if found.held_out else {}
    for place, name in enumerate(found.classes):
        given = found.given[place] if place < len(found.given) else None
        buffer = found.buffer.classes[place] if found.buffer else None
        figures = held.get(name)
        cells = [given, figures and figures.images, figures and figures.recall]
        cells += [figures and figures.precision, buffer]
        table.add_row(name, *("-" if cell is None else f"{cell:.0f}" for cell in cells))
    show(table)


def _facts(found: "Inspection") -> Iterator[tuple[str, str]]:
    """The rows of the last table: a learner's settings, its parts, and what it cost."""
    yield "method", found.method
    for name in ("network", "backbone"):
        if value := getattr(found, name):
            yield name, value
    yield "images", "x".join(map(str, found.shape))
    if not found.sessions:
        yield "classes", ", ".join(found.classes)
    if found.parameters:
        yield "parameters", str(found.parameters)
    if found.student:
        yield "student's channels", " ".join(map(str, found.student))
    if found.teacher:
        yield "teacher's channels", " ".join(map(str, found.teacher))
    if found.buffer:
        yield "buffer", f"{found.buffer.images} of {found.buffer.capacity} images"
    if found.drift:
        yield "drift", f"last session: shift {found.drift.shift:.2f}, p = {found.drift.p:.3g}"
    if found.forgotten:
        yield "forgotten", f"{found.forgotten} pictures on request, last on {found.forgotten_on}"
    yield "cost", f"{found.seconds:.0f} s, {found.flops:.3g} FLOPs"
    for name, parts in (("disk", found.disk), ("memory", found.memory)):
        yield name, f"{sum(part.size for part in parts) / 1e6:.1f} MB"
    if found.unfinished:
        source = f" on '{found.unfinished.source}'" if found.unfinished.source else ""
        running = f"a session is running{source}; this is its last checkpoint"
        stopped = f"a session was interrupted{source}; learn its images again to continue it"
        yield "unfinished", running if found.unfinished.running else stopped


def _write_sheet(learner: "Learner", file: Path) -> None:
    from lord.data import contact_sheet
    from lord.storage import write_atomic

    if learner.method is None or learner.method.buffer is None or not len(learner.method.buffer):
        raise UserError("cannot be written: the learner has no buffer", field="sheet", given=file)
    held = learner.method.buffer.held
    if held["images"].shape[1] not in (1, 3):
        problem = "cannot be written: the buffer holds features, not images"
        raise UserError(problem, field="sheet", given=file)
    order = held["labels"].argsort(stable=True)
    sheet = contact_sheet(held["images"][order], 20)
    with writing(file):
        write_atomic(file, lambda draft: sheet.save(draft, "PNG"))
