"""A study's page: what it says, what it stands on, and where it comes from."""

from collections.abc import Sequence

from lord.evaluation import RunRecord, Study
from lord.reporting.statistics import caution, paired
from lord.reporting.tables import Pick, Row, grid, markdown, missing, reference_of

MEASURES: dict[str, Pick] = {
    "forgetting": lambda r: r.forgetting,
    "backward transfer": lambda r: r.backward_transfer,
    "forward transfer": lambda r: r.forward_transfer,
    "average incremental": lambda r: r.average_incremental,
    "calibration error": lambda r: r.calibration,
    "taken for the newest": lambda r: r.recency,
    "minimum accuracy": lambda r: r.minimum_accuracy,
    "stability gap": lambda r: r.stability_gap,
}
COSTS: dict[str, Pick] = {
    "seconds": lambda r: r.wall_s,
    "of which steps": lambda r: r.step_s,
    "images/s": lambda r: r.images_per_s,
    "state MB": lambda r: r.state_bytes / 1e6,
    "buffer MB": lambda r: r.buffer_bytes / 1e6,
    "peak MB": lambda r: r.peak_bytes / 1e6,
    "parameters": lambda r: r.params,
}


def page(title: str, rows: Sequence[Row], study: Study | None, pictures: Sequence[str]) -> str:
    """The page as Markdown. pictures: file names beside it."""
    reference = reference_of(rows, study.against if study else None)
    parts = [f"# {title}", _origin(rows, study), markdown(rows, reference)]
    if said := missing(rows):
        parts.append(f"**{said}**")
    if ":" in reference.method:
        parts.append(f"Reference: {reference.method}.")
    if len(rows) > 1:
        parts += [f"## Against {reference.method}", differences(rows, reference)]
    for heading, columns in (("Beside accuracy", MEASURES), ("Costs", COSTS)):
        form = ".1f" if columns is MEASURES else ".4g"
        shown = [
            n for n, pick in columns.items() if any(row.mean(pick) is not None for row in rows)
        ]
        body = [[row.method, *(row.show(columns[name], form) for name in shown)] for row in rows]
        parts += [f"## {heading}", grid(["method", *shown], body)]
    parts += [f"![{name.replace('_', ' ').removesuffix('.png')}]({name})" for name in pictures]
    return "\n\n".join(parts) + "\n"


def differences(rows: Sequence[Row], reference: Row) -> str:
    """Each method minus the reference over common seeds, and what it costs beside it."""
    head = ["method", "seeds", "Class-IL", "95 % interval", "p", "FLOPs", "seconds", "state"]
    body, seeds = [], []
    for row in rows:
        gap = paired(row, reference, lambda r: r.headline[0])
        if row is reference or gap is None:
            continue
        seeds.append(gap.seeds)
        interval = "-" if gap.low is None else f"{gap.low:+.1f} to {gap.high:+.1f}"
        p = "-" if gap.p is None else f"{gap.p:.3g}"
        cells = [row.method, str(gap.seeds), f"{gap.mean:+.1f}", interval, p]
        for pick in (_flops, lambda r: r.wall_s, lambda r: r.state_bytes):
            mine, theirs = row.mean(pick) or 0, reference.mean(pick) or 0
            cells.append(f"{mine / theirs:.2f}" if theirs else "-")
        body.append(cells)
    said = (
        f"Class-IL (the headline) less that of {reference.method}, in points, over common seeds; "
        "Student's 95 % interval; p of the exact paired permutation test; the rest as multiples."
    )
    warning = caution(seeds)
    return "\n\n".join([grid(head, body), said, *([f"**{warning}**"] if warning else [])])


def _flops(record: RunRecord) -> float:
    return record.training_flops


def _origin(rows: Sequence[Row], study: Study | None) -> str:
    seeds = sorted({record.seed for row in rows for record in row.records})
    lines = [f"Stream: {', '.join(sorted({r.preset for row in rows for r in row.records}))}. "]
    lines[0] += f"Seeds: {', '.join(map(str, seeds))}."
    if study:
        lines += ["", f"    {study.command}", ""]
        named = ("commit", study.commits), ("versions", study.versions), ("on", study.machines)
        lines += [f"{name}: {'; '.join(values)}  " for name, values in named if values]
        if study.dates:
            lines.append(f"from {min(study.dates)} to {max(study.dates)}")
        shown = {row.records[0].label or row.method for row in rows}
        if study.labels and (others := sorted(shown - {*study.labels})):
            lines += ["", f"Made otherwise, as their folders say: {', '.join(others)}."]
    return "\n".join(lines)
