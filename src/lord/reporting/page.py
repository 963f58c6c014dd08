"""The page of a comparison as Markdown: origin, results, differences and costs."""

import sys
from collections.abc import Sequence

from lord.config import UserError
from lord.evaluation import DEFINITIONS, RunRecord, Study
from lord.reporting.rows import Pick, Row, flops_of, label_of, reference_of
from lord.reporting.statistics import caution, paired
from lord.reporting.tables import grid, markdown

MEASURES: dict[str, Pick] = {
    "forgetting": lambda r: r.forgetting,
    "backward transfer": lambda r: r.backward_transfer,
    "forward transfer, Class-IL": lambda r: r.forward_transfer_class_il,
    "forward transfer, Task-IL": lambda r: r.forward_transfer,
    "top-5": lambda r: r.top5,
    "average incremental": lambda r: r.average_incremental,
    "calibration error": lambda r: r.calibration,
    "bias to newest": lambda r: r.recency,
    "minimum accuracy": lambda r: r.minimum_accuracy,
    "stability gap": lambda r: r.stability_gap,
    "area under accuracy": lambda r: r.area_under_accuracy,
    "online accuracy": lambda r: r.online,
    "stream learned, %": lambda r: None if r.stream_seen is None else 100 * r.stream_seen,
}
COSTS: dict[str, Pick] = {
    "seconds": lambda r: r.wall_s,
    "of which steps": lambda r: r.step_s,
    "images/s": lambda r: r.images_per_s,
    "state": lambda r: r.state_bytes,
    "buffer": lambda r: r.buffer_bytes,
    "peak": lambda r: r.peak_bytes,
    "parameters": lambda r: r.params,
}
FIELDS = {
    "forward transfer, Class-IL": "forward_transfer_class_il",
    "forward transfer, Task-IL": "forward_transfer",
    "top-5": "top5",
    "calibration error": "calibration",
    "bias to newest": "recency",
}
"""Names of measures in ``RunRecord`` that differ from those in tables."""
CLASSES = 20
"""Most classes for which the page has a table."""
CLASS_NOTE = f"Mean ± standard deviation over seeds of the {DEFINITIONS['per_class']}."
SIZES = ("state", "buffer", "peak")
"""Costs in bytes."""


def page(
    title: str,
    rows: Sequence[Row],
    study: Study | None,
    pictures: Sequence[str],
    reference: Row | None = None,
) -> str:
    """Return the page as Markdown.

    Args:
        title: title of the page.
        rows: a row for each variant.
        study: description of the comparison; None if it is not known.
        pictures: names of the picture files in the page's folder.
        reference: the row that the others are compared with; by default, that of the study.
    """
    reference = reference or reference_of(rows, study.against if study else None)
    parts = [f"# {title}", _origin(rows, study), markdown(rows, reference)]
    if reference.name != reference.variant.method:
        parts.append(f"Reference: {reference.name}.")
    if len(rows) > 1:
        parts += [f"## Compared with {reference.name}", differences(rows, reference)]
    for heading, columns in (("Other measures", MEASURES), ("Costs", COSTS)):
        shown = [
            n for n, pick in columns.items() if any(row.mean(pick) is not None for row in rows)
        ]
        body = [[row.name, *(_cell(row, name, columns[name]) for name in shown)] for row in rows]
        parts += [f"## {heading}", grid(["method", *shown], body)]
        if columns is MEASURES:
            parts.append(definitions(shown))
            head, body = class_table(rows)
            if body and len(body) <= CLASSES:
                parts += ["## Class-IL accuracy by class", grid(head, body), CLASS_NOTE]
    parts += [f"![{name.replace('_', ' ').removesuffix('.png')}]({name})" for name in pictures]
    return "\n\n".join(parts) + "\n"


def definitions(measures: Sequence[str]) -> str:
    """Return the definitions of measures as Markdown."""
    return "\n".join(
        f"- {name}: {DEFINITIONS[FIELDS.get(name, name.replace(' ', '_'))]}." for name in measures
    )


def class_table(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Return the head and the body of a table of accuracies: a line for each class.

    Values are means over seeds. The table has no line if the records are too old.
    """
    shown = [row for row in rows if any(record.class_names for record in row.records)]
    records = [record for row in shown for record in row.records]
    names = sorted({name for record in records for name in record.class_names}, key=_natural)
    body = [[name, *(_of_class(row, name) for row in shown)] for name in names]
    return ["class", *(row.name for row in shown)], body


def _natural(name: str) -> tuple[int, str]:
    """Order numbers by value, before words."""
    return (int(name), "") if name.isdecimal() else (sys.maxsize, name)


def _of_class(row: Row, name: str) -> str:
    """Return the mean accuracy of a row on a class, with its standard deviation."""

    def pick(record: RunRecord) -> float | None:
        scores = dict(zip(record.class_names, record.per_class or (), strict=False))
        return scores.get(name)

    return row.show(pick)


def _cell(row: Row, name: str, pick: Pick) -> str:
    """Return a measure or a cost of a row as text."""
    if name in SIZES:
        return row.show_size(pick)
    return row.show(pick, ".1f" if name in MEASURES else ".4g")


def against(rows: Sequence[Row], name: str) -> Row:
    """Return the row with a short name, the variant as typed, or the only row of a method.

    Raises:
        UserError: if there is none, or a method has several.
    """
    named = [row for row in rows if name in (row.name, row.label, label_of(row.records[0]))]
    found = named or [row for row in rows if row.variant.method == name]
    if len(found) != 1:
        what = f"names {len(found)} rows" if found else "names no row"
        names = ", ".join(f"'{row.name}'" for row in found or rows)
        raise UserError(what, field="against", given=name, allowed=f"one of {names}")
    return found[0]


def differences(rows: Sequence[Row], reference: Row) -> str:
    """Return a table of each method minus the reference, over common seeds, and of its costs."""
    head, body, notes = difference_table(rows, reference)
    warnings = [f"**{note}**" for note in notes[1:]]
    return "\n\n".join([grid(head, body), notes[0], *warnings])


def difference_table(
    rows: Sequence[Row], reference: Row
) -> tuple[list[str], list[list[str]], list[str]]:
    """Return the head, the body and the notes of the table of differences to the reference."""
    head = ["method", "seeds", "Class-IL", "95 % interval", "p", "FLOPs", "seconds", "state"]
    body, seeds = [], []
    for row in rows:
        gap = paired(row, reference, lambda r: r.headline[0])
        if row is reference or gap is None:
            continue
        seeds.append(gap.seeds)
        interval = "-" if gap.low is None else f"{gap.low:+.1f} to {gap.high:+.1f}"
        p = "-" if gap.p is None else f"{gap.p:.3g}"
        cells = [row.name, str(gap.seeds), f"{gap.mean:+.1f}", interval, p]
        for pick in (flops_of, lambda r: r.wall_s, lambda r: r.state_bytes):
            mine, theirs = row.mean(pick) or 0, reference.mean(pick) or 0
            cells.append(f"{mine / theirs:.2f}" if theirs else "-")
        body.append(cells)
    text = (
        f"Class-IL: headline accuracy minus that of {reference.name}, in percentage points, over "
        "common seeds. Interval: Student's t. p: exact paired permutation test. FLOPs, seconds and "
        f"state: multiples of those of {reference.name}."
    )
    warning = caution(seeds)
    return head, body, [text, *([warning] if warning else [])]


def _origin(rows: Sequence[Row], study: Study | None) -> str:
    """Return stream and seeds, and the command, versions and machines if they are known."""
    seeds = sorted({record.seed for row in rows for record in row.records})
    lines = [f"Stream: {', '.join(sorted({r.preset for row in rows for r in row.records}))}. "]
    lines[0] += f"Seeds: {', '.join(map(str, seeds))}."
    if study:
        lines += ["", f"    {study.command}", ""]
        named = ("commit", study.commits), ("versions", study.versions), ("on", study.machines)
        lines += [f"{name}: {'; '.join(values)}  " for name, values in named if values]
        if study.dates:
            lines.append(f"from {min(study.dates)} to {max(study.dates)}")
        others = [row.name for row in rows if label_of(row.records[0]) not in study.labels]
        if study.labels and others:
            lines += ["", f"From another command: {', '.join(sorted(others))}."]
    return "\n".join(lines)
