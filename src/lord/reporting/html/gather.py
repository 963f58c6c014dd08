"""Gather all runs below a folder, finished or in progress, as plain data for a page."""

import base64
import io
import math
from collections import Counter
from pathlib import Path
from typing import TypeVar

import msgspec
from PIL import Image
from scipy.special import stdtrit

from lord.evaluation import (
    TABLE,
    RunRecord,
    Study,
    finished,
    read_classes,
    read_environment,
    read_failure,
    read_journal,
    read_record,
    read_study,
    state_of,
)
from lord.evaluation.classes import SHEET
from lord.reporting.fairness import (
    Trained,
    accuracy_of,
    compared,
    in_words,
    training_of,
    training_of_record,
)
from lord.reporting.html.command import repeat_from_file, repeat_from_settings
from lord.reporting.html.configuration import read_config
from lord.reporting.html.shown import Page, ShownRun, ShownStudy
from lord.reporting.names import Shown, full_name, read_text, short_names
from lord.reporting.report import check_folder, without_folder
from lord.reporting.rows import Row, label_of, summarise, variant_of, without_epochs
from lord.reporting.statistics import caution
from lord.reporting.tables import CONVENTION, missing, pretrained
from lord.storage import readable

LOSSES = 150
"""Points of a loss curve."""
HEAVY = 8_000_000
"""Bytes of confusion matrices and thumbnails on a page."""
T = TypeVar("T")


def gather(folder: Path, heavy: int = HEAVY) -> Page:
    """Gather the runs in a folder and the folders below it.

    Args:
        folder: the folder to search.
        heavy: most bytes for confusion matrices and thumbnails. Runs beyond this limit are shown
            without them.

    Raises:
        UserError: if the folder does not exist, or a file in it cannot be read.
    """
    check_folder(folder)
    budget = Budget(heavy)
    studies = [
        _study(folder, place, runs, budget) for place, runs in sorted(_places(folder).items())
    ]
    most = max((_seeds(study.runs) for study in studies), default=0)
    return Page(
        title=readable(folder.resolve().name),
        convention=CONVENTION,
        reach=[float(stdtrit(n - 1, 0.975)) / math.sqrt(n) for n in range(2, most + 1)],
        studies=studies,
    )


class Budget:
    """Bytes left for confusion matrices and thumbnails."""

    def __init__(self, left: int) -> None:
        self.left = left

    def takes(self, size: int) -> bool:
        """Take bytes from the budget, if enough are left."""
        if size > self.left:
            return False
        self.left -= size
        return True


def _places(folder: Path) -> dict[Path, list[Path]]:
    """Return the folder of each comparison, with the folders of its runs if they exist."""
    found: dict[Path, list[Path]] = {}
    names = ("config.yaml", "summary.json", TABLE)
    marks = {file.parent for name in names for file in folder.rglob(name)}
    for place in sorted(marks):
        if read_config(place) or (place / "accuracy.json").is_file():
            found.setdefault(place if place == folder else place.parent, []).append(place)
        elif finished(place) or (place / TABLE).is_file():
            found.setdefault(place, [])
    return found


def _study(folder: Path, place: Path, runs: list[Path], budget: Budget) -> ShownStudy:
    study = read_study(place)
    shown = [_run(run, budget) for run in runs]
    if runs != [place]:  # else it is the folder of one run
        gone = without_folder(place, [run.record for run in shown if run.record])
        shown += [_stored(record, study) for record in gone]
    shown.sort(key=lambda run: (run.record.training_flops if run.record else math.inf, run.seed))
    rows = summarise([run.record for run in shown if run.record])
    _name(shown, rows)
    how = _training(shown, rows)
    inside = place.relative_to(folder).as_posix() if place != folder else folder.resolve().name
    few = caution([len(row.records) for row in rows]) if len(rows) > 1 else None
    return ShownStudy(
        name=readable(inside),
        study=study,
        runs=shown,
        warnings=[text for text in (how.warning, missing(rows), pretrained(rows), few) if text],
        training=how.shared,
    )


def _training(runs: list[ShownRun], rows: list[Row]) -> Trained:
    """Say of all runs how they are trained, and return how they compare."""
    best = max(rows, key=accuracy_of).records[0] if rows else None
    known = {run.name: _trained(run) for run in runs}
    settings = {run.row: known[run.name] for run in runs}
    settings |= {run.row: known[run.name] for run in runs if run.record}
    how = compared(settings, next((run.row for run in runs if best and run.record is best), ""))
    for run in runs:
        run.training = how.each.get(run.row) or in_words(known[run.name], how.differ)
    return how


def _trained(run: ShownRun) -> dict[str, str]:
    """Return the settings that say how a run is trained."""
    return training_of_record(run.record) if run.record else training_of(run.settings, {})


def _name(runs: list[ShownRun], rows: list[Row]) -> None:
    """Give all runs of a comparison the short names of their variants."""
    summarised = {id(record): row.variant for row in rows for record in row.records}
    variants: list[Shown] = [summarised.get(id(run.record)) or read_text(run.label) for run in runs]
    curves = [without_epochs(variant) for variant in variants]
    names = zip(short_names(variants), short_names(curves), strict=True)
    for run, variant, (row, curve) in zip(runs, variants, names, strict=True):
        run.row, run.curve, run.about = row, curve, variant.about
        run.whole = row == full_name(variant)


def _run(folder: Path, budget: Budget) -> ShownRun:
    """Read a run from its folder."""
    state = state_of(folder)
    record = read_record(folder) if state == "finished" else None
    config = read_config(folder)
    journal = read_journal(folder)
    run = ShownRun(
        name=readable(folder.name),
        label=label_of(record) if record else str(config.get("method", folder.name)),
        seed=record.seed if record else _of(int, config.get("seed")) or 0,
        preset=record.preset if record else str(config.get("preset", "")),
        command=repeat_from_file(folder, config) if config else "",
        record=record,
        state=state,
        error=read_failure(folder) if state == "failed" else None,
        matrices=record.matrices if record else journal.matrices,
        task=journal.task,
        tasks=_tasks(config),
        step=record.steps if record else journal.step,
        losses=journal.losses[:: -(-len(journal.losses) // LOSSES) or 1],
        written=_written(folder),
        settings=config or (dict(record.settings) if record else {}),
        environment=read_environment(folder),
    )
    if record:
        _add_classes(run, folder, budget)
    return run


def _stored(record: RunRecord, study: Study | None) -> ShownRun:
    """Return a run from its record, because its folder is gone."""
    label, command = label_of(record), ""
    if study and study.given is not None and (not study.labels or label in study.labels):
        # Records of old versions hold only some settings; the values of others are not known.
        known = record.settings if "epochs" in record.settings else {}
        # Runs of one study can differ in a given setting, such as an 'order_seed' for each seed.
        own = known | {"preset": record.preset}
        given = {  # lists are text in records
            name: value if isinstance(value, list) else own.get(name, value)
            for name, value in study.given.items()
        }
        command = repeat_from_settings(variant_of(record), record.seed, given, known)
    return ShownRun(
        name=f"{label}-seed{record.seed}",
        label=label,
        seed=record.seed,
        preset=record.preset,
        command=command,
        record=record,
        matrices=record.matrices,
        step=record.steps,
        settings=dict(record.settings),
    )


def _tasks(config: dict[str, object]) -> int | None:
    """Return the number of tasks that a run learns, if the configuration has it."""
    if str(config.get("method", "")).partition(":")[0] == "joint":
        return 1
    split = _of(list, config.get("split"))
    count = len(split) if split is not None else _of(int, config.get("tasks"))
    last = _of(int, config.get("stop_after"))
    return count if count is None or last is None else min(count, last)


def _add_classes(run: ShownRun, folder: Path, budget: Budget) -> None:
    """Add the confusion and the thumbnails of a run, as long as the budget allows."""
    classes = read_classes(folder)
    if classes is None:
        return
    sheet = _sheet(folder / SHEET) if classes.across else None
    if budget.takes(len(sheet or "") + len(msgspec.json.encode(classes))):
        run.classes, run.sheet = classes, sheet
    else:
        run.light = True


def _sheet(file: Path) -> str | None:
    """Return a picture as a data URI, as WebP if that is smaller; None if it is damaged."""
    try:
        data, kind = file.read_bytes(), "png"
        with Image.open(file) as picture, io.BytesIO() as draft:
            picture.save(draft, "WEBP", quality=85)
            if draft.tell() < len(data):
                data, kind = draft.getvalue(), "webp"
    except OSError:
        return None
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _seeds(runs: list[ShownRun]) -> int:
    """Return the largest number of runs with the same name."""
    return max(Counter(run.row for run in runs).values(), default=0)


def _written(folder: Path) -> float | None:
    file = folder / "metrics.jsonl"
    return file.stat().st_mtime if file.is_file() else None


def _of(kind: type[T], value: object) -> T | None:
    """Return a value from a file if it has the expected type, else None."""
    return value if isinstance(value, kind) else None
