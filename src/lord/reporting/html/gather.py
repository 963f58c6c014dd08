"""What the page shows: all runs below a folder, finished and not, as plain data."""

import base64
import io
import math
from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
import yaml
from PIL import Image
from scipy import stats

from lord.config import UserError
from lord.evaluation import (
    Classes,
    Matrices,
    RunRecord,
    Study,
    finished,
    read_classes,
    read_environment,
    read_journal,
    read_record,
    read_study,
)
from lord.evaluation.classes import SHEET
from lord.reporting.html.command import repeat
from lord.reporting.report import find_records, readable
from lord.reporting.statistics import caution
from lord.reporting.tables import CONVENTION, family_of, summarise

LOSSES = 150
"""Points of a loss curve."""
HEAVY = 8_000_000
"""Bytes of confusion and thumbnails on a page."""
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class ShownRun(msgspec.Struct, kw_only=True):
    """One run. record: None while it is not finished."""

    name: str
    """Of its folder; unlike any other's in the study."""
    label: str
    row: str = ""
    """What it is averaged under: the label, and what sets apart runs of one label not alike."""
    family: str
    seed: int
    preset: str
    command: str
    record: RunRecord | None
    matrices: Matrices | None
    task: int = 0
    """Tasks finished."""
    tasks: int | None = None
    step: int = 0
    losses: list[tuple[int, float]] = []
    written: float | None = None
    """When its journal was last written, in seconds since 1970."""
    settings: dict[str, Any] = {}
    environment: dict[str, Any] = {}
    classes: Classes | None = None
    sheet: str | None = None
    """Thumbnails of its buffer, as a data URI."""
    light: bool = False
    """Whether its classes were left out to keep the page small."""


class ShownStudy(msgspec.Struct, kw_only=True):
    """A comparison, or single runs that lie side by side."""

    name: str
    study: Study | None
    caution: str | None
    runs: list[ShownRun]


class Page(msgspec.Struct, kw_only=True):
    """Everything on the page."""

    title: str
    convention: str
    reach: list[float]
    """Half a 95 % interval of a mean over n seeds in standard deviations (Student), n from 2."""
    studies: list[ShownStudy]


def gather(folder: Path, heavy: int = HEAVY) -> Page:
    """Everything to show of the runs at or below a folder.

    Args:
        heavy: bytes of confusion and thumbnails at most; runs beyond that go without.

    Raises:
        UserError: if there is no such folder, or what is there cannot be read.
    """
    if not folder.is_dir():
        raise UserError(f"no results at '{folder}': no such folder")
    budget = Budget(heavy)
    studies = [
        _study(folder, place, runs, budget) for place, runs in sorted(_places(folder).items())
    ]
    most = max((_seeds(study.runs) for study in studies), default=0)
    return Page(
        title=readable(folder.resolve().name),
        convention=CONVENTION,
        reach=[float(stats.t.ppf(0.975, n - 1)) / math.sqrt(n) for n in range(2, most + 1)],
        studies=studies,
    )


class Budget:
    """Bytes that are left for what is heavy."""

    def __init__(self, left: int) -> None:
        self.left = left

    def takes(self, size: int) -> bool:
        if size > self.left:
            return False
        self.left -= size
        return True


def _places(folder: Path) -> dict[Path, list[Path]]:
    """Folders of studies, each with those of its runs; none where only their records were kept."""
    found: dict[Path, list[Path]] = {}
    marks = (file.parent for name in ("config.yaml", "summary.json") for file in folder.rglob(name))
    for place in sorted(set(marks)):
        if _config(place) or (place / "accuracy.json").is_file():
            found.setdefault(place if place == folder else place.parent, []).append(place)
        elif finished(place):
            found.setdefault(place, [])
    return found


def _study(folder: Path, place: Path, runs: list[Path], budget: Budget) -> ShownStudy:
    study = read_study(place)
    if runs:
        shown = [_run(run, study, budget) for run in runs]
    else:
        shown = [_kept(record, study) for record in find_records(place)]
    shown.sort(key=lambda run: (run.record.training_flops if run.record else math.inf, run.seed))
    rows = {id(r): row.method for row in summarise(_records(shown)) for r in row.records}
    for run in shown:
        run.row = rows.get(id(run.record), run.label)
    seeds = Counter(run.row for run in shown if run.record)
    inside = place.relative_to(folder).as_posix() if place != folder else folder.resolve().name
    name = readable(inside)
    said = caution(list(seeds.values())) if len(seeds) > 1 else None
    return ShownStudy(name=name, study=study, caution=said, runs=shown)


def _run(folder: Path, study: Study | None, budget: Budget) -> ShownRun:
    record = read_record(folder) if finished(folder) else None
    config = _config(folder)
    journal = read_journal(folder)
    label = (record.label or record.method) if record else str(config.get("method", folder.name))
    seed = record.seed if record else _whole(config.get("seed"))
    split, tasks = config.get("split"), config.get("tasks")
    run = ShownRun(
        name=readable(folder.name),
        label=label,
        family=family_of(label),
        seed=seed,
        preset=record.preset if record else str(config.get("preset", "")),
        command=_command(study, label, seed, record, folder if config else None),
        record=record,
        matrices=record.matrices if record else journal.matrices,
        task=journal.task,
        tasks=len(split) if isinstance(split, list) else tasks if isinstance(tasks, int) else None,
        step=record.steps if record else journal.step,
        losses=journal.losses[:: -(-len(journal.losses) // LOSSES) or 1],
        written=_written(folder),
        settings=config or (record.settings if record else {}),
        environment=read_environment(folder),
    )
    if record:
        _add_classes(run, folder, budget)
    return run


def _kept(record: RunRecord, study: Study | None) -> ShownRun:
    label = record.label or record.method
    return ShownRun(
        name=f"{label}-seed{record.seed}",
        label=label,
        family=family_of(label),
        seed=record.seed,
        preset=record.preset,
        command=_command(study, label, record.seed, record),
        record=record,
        matrices=record.matrices,
        step=record.steps,
        settings=record.settings,
    )


def _command(
    study: Study | None, label: str, seed: int, record: RunRecord | None, folder: Path | None = None
) -> str:
    """What makes the run again. Only records of whole configurations tell foreign flags."""
    known = record.settings if record and "epochs" in record.settings else ()
    own = study is not None and (not study.labels or label in study.labels)
    return repeat(study.command if study and own else "", label, seed, folder, known)


def _add_classes(run: ShownRun, folder: Path, budget: Budget) -> None:
    classes = read_classes(folder)
    if classes is None:
        return
    sheet = _sheet(folder / SHEET) if classes.across else None
    if budget.takes(len(sheet or "") + len(msgspec.json.encode(classes))):
        run.classes, run.sheet = classes, sheet
    else:
        run.light = True


def _sheet(file: Path) -> str | None:
    """A picture as a data URI, as WebP where that is smaller."""
    try:
        data, kind = file.read_bytes(), "png"
        with Image.open(file) as picture, io.BytesIO() as draft:
            picture.save(draft, "WEBP", quality=85)
            if draft.tell() < len(data):
                data, kind = draft.getvalue(), "webp"
    except OSError:
        return None
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _records(runs: list[ShownRun]) -> list[RunRecord]:
    return [run.record for run in runs if run.record]


def _seeds(runs: list[ShownRun]) -> int:
    return max(Counter(run.row for run in runs).values(), default=0)


def _written(folder: Path) -> float | None:
    file = folder / "metrics.jsonl"
    return file.stat().st_mtime if file.is_file() else None


def _whole(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _config(folder: Path) -> dict[str, Any]:
    """A run's configuration; empty where none of ours lies there."""
    file = folder / "config.yaml"
    try:
        return _parsed(file, file.stat().st_mtime_ns)
    except (OSError, ValueError, yaml.YAMLError):
        return {}


@lru_cache(maxsize=4096)  # a page that is watched asks again and again
def _parsed(file: Path, _changed: int) -> dict[str, Any]:
    read = yaml.load(file.read_text(), LOADER)
    ours = isinstance(read, dict) and {"method", "preset", "seed"} <= read.keys()
    return {str(name): value for name, value in read.items()} if ours else {}
